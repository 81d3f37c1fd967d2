/* floor - what the kernel asks of any server of rooms: one thread, epoll, one send for each delivery, nothing checked.
 * It speaks just enough of Phoenix V2 for phxload: whole refs and names without escapes, one topic for each client.
 * Replies to what came in one read leave in one send. bench_sockets.py compiles and starts it; no server for anyone else.
 *   cc -O2 -Wall -o floor floor.c && ./floor        says on which free port of 127.0.0.1 it listens
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct { char *name; size_t name_len; int *members, count, room; } topic_t;
typedef struct { topic_t *topic; int place; char open; uint8_t *part; uint32_t part_len; } conn_t;

enum { FILES = 1 << 17, TOPICS = 1 << 16, BUFFER = 1 << 21 };
static conn_t *C;                       /* by file descriptor */
static topic_t T[TOPICS];               /* open addressing; a name once seen keeps its slot */
static uint8_t in[BUFFER], out[BUFFER], all[BUFFER];
static size_t out_len;

/* The generator's key is always the sample of RFC 6455, so the answer to it is always the same. */
static const char UPGRADE[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char HEALTHY[] = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}";

static topic_t *topic_of(const char *name, size_t n) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)name[i]) * 16777619u;
    for (;; h++) {
        topic_t *t = &T[h % TOPICS];
        if (!t->name) { t->name = memcpy(malloc(n), name, n); t->name_len = n; }
        if (t->name_len == n && !memcmp(t->name, name, n)) return t;
    }
}
static void join(int fd, topic_t *t) {
    if (t->count == t->room) t->members = realloc(t->members, sizeof(int) * (t->room = t->room ? 2 * t->room : 1));
    C[fd].topic = t; C[fd].place = t->count; t->members[t->count++] = fd;
}
static void leave(int fd) {
    topic_t *t = C[fd].topic;
    if (t) { int last = t->members[--t->count]; t->members[C[fd].place] = last; C[last].place = C[fd].place; }
    free(C[fd].part); C[fd] = (conn_t){ 0 }; close(fd);
}
static void send_all(int fd, const uint8_t *b, size_t n) {
    while (n) {
        ssize_t w = send(fd, b, n, MSG_NOSIGNAL);
        if (w < 0) {
            if (errno != EAGAIN) return;    /* the next read says that it is gone */
            struct pollfd full = { .fd = fd, .events = POLLOUT };
            poll(&full, 1, 100); continue;
        }
        b += w; n -= w;
    }
}
static size_t header(uint8_t *f, size_t n) {
    f[0] = 0x81;
    if (n < 126) { f[1] = n; return 2; }
    f[1] = 126; f[2] = n >> 8; f[3] = n; return 4;
}
static size_t header_len(size_t n) { return n < 126 ? 2 : 4; }
static uint8_t *put(uint8_t *to, const void *from, size_t n) { return (uint8_t *)memcpy(to, from, n) + n; }
#define PUT(to, text) put(to, text, sizeof text - 1)

static void reply(const char *refs, const char *event, const char *payload, size_t payload_len) {
    static const char head[] = "\"phx_reply\",{\"status\":\"ok\",\"response\":", tail[] = "}]";
    size_t n = (event - refs) + sizeof head + sizeof tail - 2 + payload_len;
    uint8_t *p = out + out_len; p += header(p, n);
    p = put(p, refs, event - refs); p = PUT(p, head); p = put(p, payload, payload_len); p = PUT(p, tail);
    out_len = p - out;
}
static void broadcast(topic_t *t, const char *payload, size_t payload_len) {
    static const char head[] = "[null,null,\"", event[] = "\",\"message\",";
    size_t n = sizeof head + sizeof event - 2 + t->name_len + payload_len + 1, len = header_len(n) + n;
    uint8_t *p = all + header(all, n);
    p = PUT(p, head); p = put(p, t->name, t->name_len); p = PUT(p, event); p = put(p, payload, payload_len); *p = ']';
    for (int i = 0; i < t->count; i++) send_all(t->members[i], all, len);
}
static void on_text(int fd, const char *text, size_t n) {        /* ["1","2","room:lobby","echo",{…}] */
    const char *end = text + n - 1, *ref = memchr(text, ',', n) + 1, *topic = memchr(ref, ',', end - ref) + 2;
    const char *topic_end = memchr(topic, '"', end - topic), *event = topic_end + 2;
    const char *payload = (const char *)memchr(event, ',', end - event) + 1;
    if (!memcmp(event, "\"broadcast\"", 11)) { broadcast(C[fd].topic, payload, end - payload); return; }
    if (!memcmp(event, "\"phx_join\"", 10)) join(fd, topic_of(topic, topic_end - topic));
    reply(text, event, payload, end - payload);
}
/* Takes whole frames; returns how much of the input it took, -1 at the end of the connection. */
static ssize_t on_frames(int fd, uint8_t *b, size_t n) {
    size_t off = 0;
    while (n - off >= 6) {
        uint8_t *f = b + off; size_t len = f[1] & 127, h = 2;
        if (len == 126) { len = f[2] << 8 | f[3]; h = 4; }
        if (n - off < h + 4 + len) break;
        uint32_t mask; memcpy(&mask, f + h, 4);
        uint8_t *body = f + h + 4; uint64_t wide = (uint64_t)mask << 32 | mask; size_t i = 0;
        for (uint64_t v; i + 8 <= len; i += 8) { memcpy(&v, body + i, 8); v ^= wide; memcpy(body + i, &v, 8); }
        for (; i < len; i++) body[i] ^= f[h + (i & 3)];
        if ((f[0] & 15) == 8) return -1;
        if ((f[0] & 15) == 1) on_text(fd, (char *)body, len);
        off += h + 4 + len;
    }
    return off;
}
static void on_input(int fd) {
    conn_t *c = &C[fd];
    if (c->part_len) memcpy(in, c->part, c->part_len);
    ssize_t r = recv(fd, in + c->part_len, BUFFER / 4, 0), taken;
    if (r <= 0) { if (r == 0 || errno != EAGAIN) leave(fd); return; }
    size_t n = c->part_len + r;
    out_len = 0;
    if (c->open) taken = on_frames(fd, in, n);
    else if (!memmem(in, n, "\r\n\r\n", 4)) taken = 0;
    else {
        taken = n; c->open = memmem(in, n, "Sec-WebSocket-Key", 17) != NULL;
        out_len = (c->open ? PUT(out, UPGRADE) : PUT(out, HEALTHY)) - out;
    }
    if (taken < 0) { leave(fd); return; }
    send_all(fd, out, out_len);
    uint32_t left = n - taken;
    if (left) memcpy(c->part = realloc(c->part, left), in + taken, left);
    else if (c->part) { free(c->part); c->part = NULL; }
    c->part_len = left;
}
int main(void) {
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files; getrlimit(RLIMIT_NOFILE, &files); files.rlim_cur = files.rlim_max; setrlimit(RLIMIT_NOFILE, &files);
    C = calloc(FILES, sizeof *C);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    if (bind(listener, (void *)&a, sizeof a) || listen(listener, 4096) || getsockname(listener, (void *)&a, &size)) { perror("listen"); return 1; }
    struct epoll_event found[512], e = { .events = EPOLLIN, .data.fd = listener };
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    printf("listening on %d\n", ntohs(a.sin_port)); fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, found, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = found[i].data.fd;
            if (fd != listener) { on_input(fd); continue; }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                e.data.fd = fd; epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
            }
        }
    }
}
