"""Which addresses belong to everybody: what a model may be led to by a page must never be an inside of ours.

Lists of our own, because what Python calls global differs between its versions (IANA, special-purpose registries).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_INSIDE_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "168.63.129.16/32",  # Azure's host, which every machine there trusts, has a public number
        ),
    )
)  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")
# 2001::/23 holds Teredo and others that carry an address of IPv4, as 2002::/16 (6to4) does.
_INSIDE_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether `text` is an address that anybody may reach from anywhere; false for what is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INSIDE_4)
    if (carried := _carried(address)) is not None:
        return is_public(str(carried))
    return address in _PUBLIC_6 and not any(address in network for network in _INSIDE_6)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The address of IPv4 that is reached by this one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped
