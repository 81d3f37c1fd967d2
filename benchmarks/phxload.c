/* phxload - load generator for servers that speak the Phoenix Channels V2 JSON
 * wire format over plain WebSocket.  One thread, epoll, no dependencies.
 * load.py compiles and drives it; by hand, against any server with the reference room:
 *   cc -O2 -Wall -o phxload phxload.c && ./phxload --help
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { M_CONNECT, M_ECHO, M_FANOUT, M_HTTP };
enum { S_CONNECTING, S_HANDSHAKE, S_JOINING, S_READY, S_DEAD };

typedef struct {
    int fd, state, topic, inflight;
    uint64_t ref, count;      /* refs used / deliveries seen */
    uint8_t *part;            /* partial input, if any */
    uint32_t part_len, part_cap;
    uint8_t *out;             /* unsent output, if any */
    uint32_t out_len, out_off;
    uint64_t *ts;             /* ring of send times by ref (echo, http) */
    uint8_t slow, want_out;
} conn_t;

typedef struct { uint64_t t; uint32_t left; } slot_t;
typedef struct {
    char name[160];
    char *tail; size_t tail_len;   /* of every push: topic, event and payload */
    uint32_t members;
    int pub;                  /* index of the publishing connection */
    uint64_t seq, done;
    uint64_t next_at;
    slot_t *ring;
} topic_t;

static struct {
    int mode, conns, inflight, payload, topics, slow, srcs, conc, window, deflate, rcvbuf, match, core, spin;
    double duration, warmup, rate, hold;
    char host[128], path[512], hostport[160];
    int port;
    const char *topic, *event, *bevent, *revent, *join_payload, *pids, *extra, *label;
} o = { .mode = M_ECHO, .conns = 100, .inflight = 1, .payload = 128, .topics = 1, .srcs = 1, .conc = 256,
        .window = 1, .match = 1, .core = -1, .duration = 5, .warmup = 1, .topic = "room:lobby", .event = "echo",
        .bevent = "broadcast", .revent = "message", .join_payload = "{}", .extra = "", .label = "" };

#define RING 8192
static conn_t *C;
static topic_t *T;
static int ep;
static uint8_t rbuf[1 << 20];
static uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
static char *pad;
static int next_conn, n_ready, n_dead, n_pending;
static uint64_t n_msgs, n_bytes_in, n_pub, n_err, n_close;
static int measuring;
static char revent_q[160];

static uint64_t now_ns(void) {
    struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *f, ...) {
    va_list a; va_start(a, f); vfprintf(stderr, f, a); va_end(a); fputc('\n', stderr); exit(2);
}

/* ---- latency histogram: 64 sub-buckets per power of two (<= 1.6 % error) ---- */
static uint64_t hist[64 * 64], hist_n, hist_max;
static void hist_add(uint64_t ns, uint64_t n) {
    if (!measuring) return;
    int e = 63 - __builtin_clzll(ns | 64), sh = e - 6;
    uint64_t ix = ((uint64_t)(sh + 1) << 6) + ((ns >> sh) & 63);
    if (ns < 64) ix = ns;
    hist[ix] += n; hist_n += n; if (ns > hist_max) hist_max = ns;
}
static double hist_q(double q) {
    uint64_t want = (uint64_t)(q * hist_n), acc = 0;
    for (int i = 0; i < 64 * 64; i++) {
        acc += hist[i];
        if (hist[i] && acc >= want) {
            if (i < 64) return i / 1e3;
            int sh = (i >> 6) - 1;
            return (double)(((uint64_t)(64 + (i & 63))) << sh) / 1e3;
        }
    }
    return 0;
}

/* ---- server CPU and memory from /proc (the given pids and their descendants) ---- */
typedef struct { double cpu; uint64_t rss_kb; } usage_t;
static int ppid_of(int pid) {
    char p[64], b[2048]; snprintf(p, sizeof p, "/proc/%d/stat", pid);
    int f = open(p, O_RDONLY), ppid; if (f < 0) return -1;
    ssize_t n = read(f, b, sizeof b - 1); close(f); if (n <= 0) return -1; b[n] = 0;
    char *q = strrchr(b, ')');
    return q && sscanf(q + 2, "%*c %d", &ppid) == 1 ? ppid : -1;
}
static double cpu_of(int pid) {                     /* all threads, to the nanosecond: stat counts in ticks of 10 ms */
    char p[300]; snprintf(p, sizeof p, "/proc/%d/task", pid);
    double sum = 0; DIR *dir = opendir(p); struct dirent *e;
    while (dir && (e = readdir(dir))) if (isdigit((unsigned char)e->d_name[0])) {
        snprintf(p, sizeof p, "/proc/%d/task/%.20s/schedstat", pid, e->d_name);
        unsigned long long ns; FILE *f = fopen(p, "r"); if (!f) continue;
        if (fscanf(f, "%llu", &ns) == 1) sum += ns / 1e9;
        fclose(f);
    }
    if (dir) closedir(dir);
    return sum;
}
static uint64_t rss_of(int pid) {
    char p[64]; snprintf(p, sizeof p, "/proc/%d/statm", pid);
    unsigned long long pages = 0; FILE *f = fopen(p, "r"); if (!f) return 0;
    if (fscanf(f, "%*u %llu", &pages) != 1) pages = 0;
    fclose(f); return pages * (sysconf(_SC_PAGESIZE) / 1024);
}
static usage_t usage(void) {
    usage_t r = { 0 }; if (!o.pids) return r;
    int set[4096], n = 0; char *d = strdup(o.pids), *sv;
    for (char *t = strtok_r(d, ",", &sv); t && n < 4096; t = strtok_r(0, ",", &sv)) set[n++] = atoi(t);
    free(d);
    static int all[65536], par[65536]; int na = 0;
    DIR *dir = opendir("/proc"); struct dirent *e;
    while (dir && (e = readdir(dir)) && na < 65536) if (isdigit((unsigned char)e->d_name[0])) {
        int pid = atoi(e->d_name), pp = ppid_of(pid); if (pp >= 0) { all[na] = pid; par[na++] = pp; }
    }
    if (dir) closedir(dir);
    for (int i = 0; i < n; i++) for (int k = 0; k < na; k++) if (par[k] == set[i] && n < 4096) {
        int dup = 0; for (int j = 0; j < n; j++) dup |= set[j] == all[k];
        if (!dup) set[n++] = all[k];
    }
    for (int i = 0; i < n; i++) { r.cpu += cpu_of(set[i]); r.rss_kb += rss_of(set[i]); }
    return r;
}
static double self_cpu(void) {
    struct rusage r; getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- output ---- */
static void ep_mod(conn_t *c, int out) {
    if (c->want_out == out) return;
    c->want_out = out;
    struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.u32 = (uint32_t)(c - C) };
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
}
static void kill_conn(conn_t *c) {
    if (c->state == S_DEAD) return;
    if (c->state < S_READY) n_pending--; else n_ready--;
    close(c->fd); c->fd = -1; c->state = S_DEAD; n_dead++;
    free(c->part); c->part = 0; free(c->out); c->out = 0;
}
static void send_raw(conn_t *c, const void *b, size_t n) {
    if (c->state == S_DEAD) return;
    ssize_t w = 0;
    if (!c->out) { w = send(c->fd, b, n, MSG_NOSIGNAL);
        if (w < 0) { if (errno == EAGAIN) w = 0; else { n_err++; kill_conn(c); return; } }
        if ((size_t)w == n) return; }
    c->out = realloc(c->out, c->out_len + n - w);
    memcpy(c->out + c->out_len, (const char *)b + w, n - w); c->out_len += n - w;
    ep_mod(c, 1);
}
static size_t frame(uint8_t *f, int op, const char *s, size_t n) {   /* masked client frame */
    size_t h = 0; f[h++] = 0x80 | op;
    if (n < 126) f[h++] = 0x80 | n;
    else if (n < 65536) { f[h++] = 0x80 | 126; f[h++] = n >> 8; f[h++] = n; }
    else { f[h++] = 0x80 | 127; for (int i = 7; i >= 0; i--) f[h++] = (uint64_t)n >> (8 * i); }
    memcpy(f + h, mask, 4); h += 4;
    uint32_t m; memcpy(&m, mask, 4);
    uint64_t wide = (uint64_t)m << 32 | m; size_t i = 0;
    for (uint64_t v; i + 8 <= n; i += 8) { memcpy(&v, s + i, 8); v ^= wide; memcpy(f + h + i, &v, 8); }
    for (; i < n; i++) f[h + i] = (uint8_t)s[i] ^ mask[i & 3];
    return h + n;
}
static char *tail_of(const topic_t *t, const char *event, const char *payload) {
    char *s = 0;
    if (asprintf(&s, "\",\"%s\",\"%s\",%s]", t->name, event, payload) < 0) die("out of memory");
    return s;
}
static uint8_t *obuf; static size_t obuf_cap;
static uint8_t *room_for(size_t n) { if (obuf_cap < n) obuf = realloc(obuf, obuf_cap = n); return obuf; }
static size_t build_push(uint8_t *f, conn_t *c, const char *tail, size_t tail_len) {   /* only the ref is ever new */
    static char *m; static size_t cap; if (cap < tail_len + 64) m = realloc(m, cap = tail_len + 64);
    char digits[20]; int d = 0; size_t n = 6; uint64_t ref = ++c->ref;
    do digits[d++] = '0' + ref % 10; while (ref /= 10);
    memcpy(m, "[\"1\",\"", 6); while (d) m[n++] = digits[--d];
    memcpy(m + n, tail, tail_len);
    return frame(f, 1, m, n + tail_len);
}
static void push_tail(conn_t *c, const char *tail, size_t n) { uint8_t *f = room_for(n + 80); send_raw(c, f, build_push(f, c, tail, n)); }
static void push_join(conn_t *c) {
    char *tail = tail_of(&T[c->topic], "phx_join", o.join_payload); push_tail(c, tail, strlen(tail)); free(tail);
}
static void echo_send(conn_t *c, int k) {           /* k pushes, one write */
    topic_t *tp = &T[c->topic]; uint8_t *f = room_for((tp->tail_len + 80) * k); size_t len = 0;
    uint64_t t = now_ns();
    for (int i = 0; i < k; i++) { c->ts[(c->ref + 1) % (2 * o.inflight)] = t; len += build_push(f + len, c, tp->tail, tp->tail_len); }
    c->inflight += k; send_raw(c, f, len);
}
static void http_send(conn_t *c) {
    static char b[1024]; int n = snprintf(b, sizeof b, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", o.path, o.hostport, o.extra);
    c->ts[0] = now_ns(); send_raw(c, b, n);
}
static void publish(topic_t *t, uint64_t at) {
    if (t->seq - t->done >= RING - 1) return;
    conn_t *c = &C[t->pub]; if (c->state != S_READY) return;
    slot_t *s = &t->ring[t->seq % RING]; s->t = at; s->left = t->members; t->seq++; if (measuring) n_pub++;
    push_tail(c, t->tail, t->tail_len);
}

/* ---- connecting ---- */
static void start_conn(void) {
    int i = next_conn++; conn_t *c = &C[i];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); if (c->fd < 0) die("socket: %s", strerror(errno));
    int one = 1; setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->slow && o.rcvbuf) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &o.rcvbuf, sizeof o.rcvbuf);
    if (o.srcs > 1) {
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        struct sockaddr_in l = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(i % o.srcs)) };
        bind(c->fd, (void *)&l, sizeof l);
    }
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(o.port) };
    inet_pton(AF_INET, o.host, &a.sin_addr);
    c->state = S_CONNECTING; n_pending++; c->want_out = 1;
    int r = connect(c->fd, (void *)&a, sizeof a);
    if (r < 0 && errno != EINPROGRESS) { n_err++; kill_conn(c); return; }
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)i };
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}
static void ready(conn_t *c) {
    c->state = S_READY; n_pending--; n_ready++;
    if (c->slow) epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, 0);   /* never read again */
}
static void on_connected(conn_t *c) {
    int e = 0; socklen_t l = sizeof e; getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
    if (e) { n_err++; if (n_err < 4) fprintf(stderr, "connect: %s\n", strerror(e)); kill_conn(c); return; }
    ep_mod(c, 0);
    if (o.mode == M_HTTP) { c->ts = calloc(1, 8); ready(c); return; }
    c->state = S_HANDSHAKE;
    char b[1400]; int n = snprintf(b, sizeof b,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n", o.path, o.hostport,
        o.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "", o.extra);
    send_raw(c, b, n);
}
static int deflate_on;
static void on_text(conn_t *c, const uint8_t *p, size_t n, int rsv1, uint64_t t) {
    if (c->state == S_JOINING) {
        if (!rsv1 && memmem(p, n, "phx_reply", 9)) {
            if (!memmem(p, n, "\"ok\"", 4)) { n_err++; if (n_err < 4) fprintf(stderr, "join: %.*s\n", (int)n, p); }
            ready(c);
        } else if (rsv1) ready(c);          /* compressed: take the first frame as the reply */
        return;
    }
    if (o.mode == M_ECHO) {
        uint64_t ref = c->ref;
        if (!rsv1) {
            const uint8_t *q = memchr(p, ',', n); if (!q || q + 3 > p + n) return;
            ref = 0; q++; if (*q != '"') return;      /* not a reply of ours */
            for (q++; q < p + n && *q >= '0' && *q <= '9'; q++) ref = ref * 10 + (*q - '0');
        } else ref = c->count + 2;
        if (!rsv1 && !memmem(p, n < 200 ? n : 200, "\"ok\"", 4)) { n_err++; if (n_err < 4) fprintf(stderr, "reply: %.*s\n", (int)n, p); }
        c->count++; c->inflight--; n_msgs++;
        hist_add(t - c->ts[ref % (2 * o.inflight)], 1);
        return;
    }
    if (o.mode == M_FANOUT) {
        if (!rsv1 && o.match && !memmem(p, n < 200 ? n : 200, revent_q, strlen(revent_q))) return;
        topic_t *tp = &T[c->topic]; uint64_t k = c->count++;
        slot_t *s = &tp->ring[k % RING]; n_msgs++;
        hist_add(t - s->t, 1);
        if (s->left && --s->left == 0) while (tp->done < tp->seq && tp->ring[tp->done % RING].left == 0) tp->done++;
    }
}
static void on_data(conn_t *c, uint8_t *b, size_t n, uint64_t t) {
    if (measuring) n_bytes_in += n;
    if (c->part_len) {
        if (c->part_cap < c->part_len + n) c->part = realloc(c->part, c->part_cap = c->part_len + n + 4096);
        memcpy(c->part + c->part_len, b, n); c->part_len += n; b = c->part; n = c->part_len;
    }
    size_t off = 0;
    if (o.mode == M_HTTP) {
        uint8_t *e = memmem(b, n, "\r\n\r\n", 4);
        if (e) {
            size_t cl = 0; char sv = *e; *e = 0; char *h = strcasestr((char *)b, "content-length:"); if (h) cl = strtoul(h + 15, 0, 10);
            *e = sv;
            size_t tot = (e - b) + 4 + cl;
            if (n >= tot) { off = tot; n_msgs++; if (memcmp(b + 9, "200", 3)) n_err++; hist_add(t - c->ts[0], 1); c->inflight = 0; }
        }
        goto keep;
    }
    if (c->state == S_HANDSHAKE) {
        uint8_t *e = memmem(b, n, "\r\n\r\n", 4); if (!e) goto keep;
        if (n < 12 || memcmp(b + 9, "101", 3)) { n_err++; if (n_err < 4) fprintf(stderr, "upgrade: %.*s\n", (int)(e - b), b); kill_conn(c); return; }
        if (memmem(b, e - b, "permessage-deflate", 18)) deflate_on = 1;
        off = e - b + 4; c->state = S_JOINING; push_join(c);
    }
    while (n - off >= 2) {
        uint8_t *f = b + off; size_t len = f[1] & 127, h = 2;
        if (len == 126) { if (n - off < 4) break; len = f[2] << 8 | f[3]; h = 4; }
        else if (len == 127) { if (n - off < 10) break; len = 0; for (int i = 2; i < 10; i++) len = len << 8 | f[i]; h = 10; }
        if (n - off < h + len) break;
        int op = f[0] & 15;
        if (op == 1 || op == 2) on_text(c, f + h, len, f[0] & 0x40, t);
        else if (op == 9) { uint8_t pb[160]; send_raw(c, pb, frame(pb, 10, (char *)f + h, len)); }
        else if (op == 8) { n_close++; kill_conn(c); return; }
        off += h + len;
        if (c->state == S_DEAD) return;
    }
keep:;
    size_t left = n - off;
    if (!left) { c->part_len = 0; if (c->part && c->part_cap > 65536) { free(c->part); c->part = 0; c->part_cap = 0; } return; }
    if (b == c->part) memmove(c->part, b + off, left);
    else { if (c->part_cap < left) c->part = realloc(c->part, c->part_cap = left + 512); memcpy(c->part, b + off, left); }
    c->part_len = left;
}
static void poll_once(int ms) {
    struct epoll_event ev[512]; int n = epoll_wait(ep, ev, 512, ms);
    for (int i = 0; i < n; i++) {
        conn_t *c = &C[ev[i].data.u32]; if (c->state == S_DEAD) continue;
        if (c->state == S_CONNECTING) { if (ev[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) on_connected(c); continue; }
        if (ev[i].events & EPOLLOUT && c->out) {
            ssize_t w = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
            if (w > 0) c->out_off += w;
            if (c->out_off == c->out_len) { free(c->out); c->out = 0; c->out_len = c->out_off = 0; ep_mod(c, 0); }
        }
        if (ev[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
            ssize_t r = recv(c->fd, rbuf, sizeof rbuf, 0);
            if (r > 0) on_data(c, rbuf, r, now_ns());
            else if (r == 0 || errno != EAGAIN) { n_close++; kill_conn(c); continue; }
            if (c->state == S_READY && !c->slow) {
                if (o.mode == M_ECHO && measuring >= 0 && c->inflight >= 0 && c->ts && c->inflight < o.inflight) echo_send(c, o.inflight - c->inflight);
                else if (o.mode == M_HTTP && c->ts && c->inflight == 0 && c->part_len == 0) { c->inflight = 1; http_send(c); }
            }
        }
    }
    if (o.mode == M_FANOUT && measuring >= 0) {
        uint64_t t = 0;
        for (int i = 0; i < o.topics; i++) {
            topic_t *tp = &T[i];
            if (o.rate > 0) {
                if (!t) t = now_ns();
                while (tp->next_at && tp->next_at <= t && tp->seq - tp->done < RING - 1) { publish(tp, tp->next_at); tp->next_at += (uint64_t)(1e9 / o.rate); }
            } else while (tp->next_at && (int)(tp->seq - tp->done) < o.window) publish(tp, now_ns());
        }
    }
}
static int poll_ms(void) {
    if (o.spin) return 0;                           /* asleep, it would have to be woken for a reply: at the server's cost */
    return (o.mode == M_FANOUT && o.rate > 0 && measuring >= 0) ? (o.rate * o.topics > 200 ? 0 : 1) : 20;
}

static void help(void) {
    puts("phxload --mode connect|echo|fanout|http --url ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0 [flags]\n"
         "  --conns N          sockets (100)            --topic NAME   may hold %d = topic index (room:lobby)\n"
         "  --topics N         topics the sockets are dealt over (1; 0 = one per socket)\n"
         "  --join-payload J   JSON of phx_join ({})    --payload-bytes N  size of the pushed payload (128)\n"
         "  --event E          echo push (echo)         --inflight K   pushes in flight per socket (1)\n"
         "  --broadcast-event E  publisher push (broadcast)  --receive-event E  event counted as delivery (message; '' = any text frame)\n"
         "  --window W         fan-out: messages outstanding per topic (1)   --rate R  open loop: messages/s per topic\n"
         "  --duration S (5) --warmup S (1) --hold S  connect: idle time before memory is read (0)\n"
         "  --pid P[,P]        server pids; their children are counted too  --core N  the core to run on\n"
         "  --spin             never sleeps while it measures: waking it is work that a server does for no real client\n"
         "  --concurrency N    connection attempts at once (256)  --sources N  use N addresses from 127.0.0.2 on\n"
         "  --deflate          offer permessage-deflate (frames are counted, not inflated)\n"
         "  --slow N --rcvbuf B  the last N sockets join and then never read\n"
         "  --header 'K: V'    extra request header     --label L      copied into the RESULT line");
    exit(0);
}
int main(int argc, char **argv) {
    static struct option L[] = { { "mode", 1, 0, 'm' }, { "url", 1, 0, 'u' }, { "conns", 1, 0, 'n' }, { "topic", 1, 0, 't' }, { "topics", 1, 0, 'T' },
        { "join-payload", 1, 0, 'j' }, { "payload-bytes", 1, 0, 'p' }, { "event", 1, 0, 'e' }, { "inflight", 1, 0, 'k' }, { "broadcast-event", 1, 0, 'b' },
        { "receive-event", 1, 0, 'r' }, { "window", 1, 0, 'w' }, { "rate", 1, 0, 'R' }, { "duration", 1, 0, 'd' }, { "warmup", 1, 0, 'W' },
        { "hold", 1, 0, 'H' }, { "pid", 1, 0, 'P' }, { "concurrency", 1, 0, 'c' }, { "sources", 1, 0, 's' }, { "deflate", 0, 0, 'z' },
        { "slow", 1, 0, 'S' }, { "rcvbuf", 1, 0, 'B' }, { "header", 1, 0, 'x' }, { "label", 1, 0, 'l' }, { "core", 1, 0, 'C' }, { "spin", 0, 0, 'y' }, { "help", 0, 0, 'h' }, { 0 } };
    const char *url = "ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0"; int ch;
    while ((ch = getopt_long(argc, argv, "", L, 0)) != -1) switch (ch) {
        case 'm': o.mode = !strcmp(optarg, "connect") ? M_CONNECT : !strcmp(optarg, "fanout") ? M_FANOUT : !strcmp(optarg, "http") ? M_HTTP : M_ECHO; break;
        case 'u': url = optarg; break; case 'n': o.conns = atoi(optarg); break; case 't': o.topic = optarg; break; case 'T': o.topics = atoi(optarg); break;
        case 'j': o.join_payload = optarg; break; case 'p': o.payload = atoi(optarg); break; case 'e': o.event = optarg; break; case 'k': o.inflight = atoi(optarg); break;
        case 'b': o.bevent = optarg; break; case 'r': o.revent = optarg; if (!*optarg) o.match = 0; break; case 'w': o.window = atoi(optarg); break;
        case 'R': o.rate = atof(optarg); break; case 'd': o.duration = atof(optarg); break; case 'W': o.warmup = atof(optarg); break; case 'H': o.hold = atof(optarg); break;
        case 'P': o.pids = optarg; break; case 'c': o.conc = atoi(optarg); break; case 's': o.srcs = atoi(optarg); break; case 'z': o.deflate = 1; break;
        case 'S': o.slow = atoi(optarg); break; case 'B': o.rcvbuf = atoi(optarg); break; case 'y': o.spin = 1; break; case 'C': o.core = atoi(optarg); break; case 'l': o.label = optarg; break;
        case 'x': { char *e = malloc(strlen(optarg) + strlen(o.extra) + 3); sprintf(e, "%s%s\r\n", o.extra, optarg); o.extra = e; break; }
        default: help();
    }
    if (sscanf(url, "%*[a-z]://%127[^:/]:%d%511s", o.host, &o.port, o.path) < 2) die("bad --url %s", url);
    if (!o.path[0]) strcpy(o.path, "/");
    if (!strcmp(o.host, "localhost")) strcpy(o.host, "127.0.0.1");
    if (strncmp(o.host, "127.", 4)) die("loopback only");
    snprintf(o.hostport, sizeof o.hostport, "%s:%d", o.host, o.port);
    signal(SIGPIPE, SIG_IGN);
    if (o.core >= 0) { cpu_set_t one; CPU_ZERO(&one); CPU_SET(o.core, &one); if (sched_setaffinity(0, sizeof one, &one)) die("--core %d: %s", o.core, strerror(errno)); }
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    if (o.conns + 32 > (long)rl.rlim_cur) die("--conns %d: the file limit is %ld", o.conns, (long)rl.rlim_cur);
    if (o.topics <= 0) o.topics = o.conns;
    ep = epoll_create1(0); C = calloc(o.conns, sizeof *C); T = calloc(o.topics, sizeof *T);
    for (int i = 0; i < o.topics; i++) { char *q; strncpy(T[i].name, o.topic, 140);
        if ((q = strstr((char *)o.topic, "%d"))) snprintf(T[i].name, sizeof T[i].name, "%.*s%d%s", (int)(q - o.topic), o.topic, i, q + 2);
        else if (o.topics > 1) snprintf(T[i].name, sizeof T[i].name, "%s-%d", o.topic, i);
        T[i].pub = -1; if (o.mode == M_FANOUT) T[i].ring = calloc(RING, sizeof(slot_t)); }
    for (int i = 0; i < o.conns; i++) { conn_t *c = &C[i]; c->fd = -1; c->topic = i % o.topics; c->slow = i >= o.conns - o.slow;
        topic_t *t = &T[c->topic]; if (!c->slow) t->members++; if (t->pub < 0) t->pub = i; }
    pad = malloc(o.payload + 64); int fill = o.payload - 10; if (fill < 0) fill = 0;
    { int n = sprintf(pad, "{\"text\":\""); for (int i = 0; i < fill; i++) pad[n++] = "the quick brown fox jumps over "[i % 31]; strcpy(pad + n, "\"}"); }
    for (int i = 0; i < o.topics; i++) { T[i].tail = tail_of(&T[i], o.mode == M_ECHO ? o.event : o.bevent, pad); T[i].tail_len = strlen(T[i].tail); }
    snprintf(revent_q, sizeof revent_q, "\"%s\"", o.revent);

    usage_t u0 = usage(); double g0 = self_cpu(); uint64_t t0 = now_ns(), tick = t0;
    measuring = -1;
    while (n_ready + n_dead < o.conns) {
        while (next_conn < o.conns && n_pending < o.conc) start_conn();
        poll_once(o.spin ? 0 : 20);
        uint64_t t = now_ns(); if (t - tick > 20000000000ull) { fprintf(stderr, "connecting: %d ready, %d dead\n", n_ready, n_dead); tick = t; }
        if (t - t0 > 180000000000ull) die("connecting takes too long: %d ready of %d", n_ready, o.conns);
    }
    double tc = (now_ns() - t0) / 1e9; usage_t u1 = usage(); double g1 = self_cpu();
    double ccpu = u1.cpu - u0.cpu;
    fprintf(stderr, "connected+joined %d (dead %d, errors %llu) in %.2f s = %.0f/s; server CPU %.3f ms each; generator %.0f %% busy%s\n", n_ready, n_dead,
            (unsigned long long)n_err, tc, n_ready / tc, n_ready ? ccpu * 1e3 / n_ready : 0, 100 * (g1 - g0) / tc, deflate_on ? "; deflate negotiated" : "");
    if (o.mode == M_CONNECT) {
        uint64_t end = now_ns() + (uint64_t)(o.hold * 1e9); while (now_ns() < end) poll_once(20);
        usage_t u2 = usage();
        fprintf(stderr, "RSS %.1f MB before, %.1f MB after; %.2f KiB per joined connection\n", u0.rss_kb / 1024., u2.rss_kb / 1024., n_ready ? ((double)u2.rss_kb - u0.rss_kb) / n_ready : 0);
        printf("RESULT {\"label\":\"%s\",\"mode\":\"connect\",\"conns\":%d,\"ready\":%d,\"errors\":%llu,\"connects_per_s\":%.0f,\"cpu_ms_per_connect\":%.4f,"
               "\"rss_before_kb\":%llu,\"rss_after_kb\":%llu,\"kib_per_conn\":%.3f,\"idle_cpu_s\":%.3f,\"hold_s\":%.1f}\n",
               o.label, o.conns, n_ready, (unsigned long long)n_err, n_ready / tc, n_ready ? ccpu * 1e3 / n_ready : 0, (unsigned long long)u0.rss_kb,
               (unsigned long long)u2.rss_kb, n_ready ? ((double)u2.rss_kb - u0.rss_kb) / n_ready : 0, u2.cpu - u1.cpu, o.hold);
        return n_dead ? 1 : 0;
    }
    measuring = 0;
    uint64_t t = now_ns();
    for (int i = 0; i < o.conns; i++) if (C[i].state == S_READY && !C[i].slow) {
        C[i].count = 0;
        if (o.mode == M_ECHO) { C[i].ts = calloc(2 * o.inflight, 8); echo_send(&C[i], o.inflight); }
        if (o.mode == M_HTTP) { C[i].inflight = 1; http_send(&C[i]); }
    }
    if (o.mode == M_FANOUT) for (int i = 0; i < o.topics; i++) T[i].next_at = o.rate > 0 ? t + (uint64_t)(1e9 / o.rate * i / o.topics) + 1 : 1;
    uint64_t end = now_ns() + (uint64_t)(o.warmup * 1e9); while (now_ns() < end) poll_once(poll_ms());
    n_msgs = 0; usage_t a = usage(); double ga = self_cpu(); measuring = 1; uint64_t m0 = n_msgs; uint64_t ta = now_ns();
    end = ta + (uint64_t)(o.duration * 1e9); while (now_ns() < end) poll_once(poll_ms());
    uint64_t m1 = n_msgs; uint64_t tb = now_ns(); measuring = 0; usage_t b = usage(); double gb = self_cpu();
    double sec = (tb - ta) / 1e9, cpu = b.cpu - a.cpu, msgs = (double)(m1 - m0);
    printf("RESULT {\"label\":\"%s\",\"mode\":\"%s\",\"conns\":%d,\"ready\":%d,\"closed\":%llu,\"errors\":%llu,\"deflate\":%d,\"payload\":%d,\"seconds\":%.2f,\"published\":%llu,\"msgs\":%.0f,\"msgs_per_s\":%.0f,\"mb_per_s\":%.1f,"
           "\"server_cpu_s\":%.6f,\"cpu_us_per_msg\":%.3f,\"server_cores\":%.2f,\"gen_cores\":%.2f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f,\"rss_kb\":%llu}\n",
           o.label, o.mode == M_ECHO ? "echo" : o.mode == M_HTTP ? "http" : "fanout", o.conns, n_ready, (unsigned long long)n_close, (unsigned long long)n_err, deflate_on, o.payload, sec,
           (unsigned long long)n_pub, msgs, msgs / sec, n_bytes_in / sec / 1e6, cpu, msgs ? cpu * 1e6 / msgs : 0, cpu / sec, (gb - ga) / sec,
           hist_q(.5), hist_q(.99), hist_q(.999), hist_max / 1e3, (unsigned long long)b.rss_kb);
    return 0;
}
