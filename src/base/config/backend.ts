/** `auto` is direct where the peer is on the same link and VXLAN elsewhere; `host-gw` is direct or nothing. */
export type Backend = 'auto' | 'vxlan' | 'host-gw';
