#define _GNU_SOURCE
#include "probe.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

/* The packet that begins a connection, written and read again at the other end, or quoted in an ICMP error. */

/* SOURCE_POD DESTINATION_POD PROTOCOL FROM TO PORT */
bool parse_shot(const char *line, int pods, struct shot *shot)
{
	char protocol[8], from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	unsigned port;
	*shot = (struct shot){ 0 };
	if (sscanf(line, "%d %d %7s %45s %45s %u", &shot->source_pod, &shot->destination_pod, protocol, from, to, &port) != 6 ||
	    shot->source_pod < 0 || shot->source_pod >= pods || shot->destination_pod < 0 ||
	    shot->destination_pod >= pods || port > 65535)
		return false;
	bool v4 = strchr(from, ':') == NULL;
	shot->protocol = strcmp(protocol, "tcp") == 0  ? IPPROTO_TCP :
			 strcmp(protocol, "udp") == 0  ? IPPROTO_UDP :
			 strcmp(protocol, "sctp") == 0 ? IPPROTO_SCTP :
			 strcmp(protocol, "icmp") != 0 ? -1 :
			 v4			       ? IPPROTO_ICMP :
							 IPPROTO_ICMPV6;
	return shot->protocol >= 0 && parse_address(from, 0, &shot->from) && parse_address(to, (uint16_t)port, &shot->to);
}

static const void *bytes_of(const struct sockaddr_storage *address, size_t *size)
{
	bool v4 = address->ss_family == AF_INET;
	*size = v4 ? 4 : 16;
	return v4 ? (const void *)&((const struct sockaddr_in *)address)->sin_addr :
		    (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
}

bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	size_t size;
	const void *first = bytes_of(a, &size), *second = bytes_of(b, &size);
	return a->ss_family == b->ss_family && memcmp(first, second, size) == 0;
}

static size_t write_transport(const struct shot *shot, uint8_t *at)
{
	uint16_t port = htons(port_of(&shot->to)), tag = htons(shot->tag);
	switch (shot->protocol) {
	case IPPROTO_TCP:
		*(struct tcphdr *)at = (struct tcphdr){ .source = tag, .dest = port, .seq = htonl(1), .doff = 5, .syn = 1,
							.window = htons(65535) };
		return sizeof(struct tcphdr);
	case IPPROTO_UDP:
		*(struct udphdr *)at = (struct udphdr){ .source = tag, .dest = port, .len = htons(sizeof(struct udphdr)) };
		return sizeof(struct udphdr);
	case IPPROTO_SCTP:
		return write_sctp_init(at, tag, port, htonl(shot->tag));
	default:
		*(struct icmphdr *)at = (struct icmphdr){
			.type = shot->protocol == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
			.un.echo = { .id = tag, .sequence = htons(shot->sequence) }
		};
		return sizeof(struct icmphdr);
	}
}

/* Connection tracking disregards what has a wrong one. That of SCTP is of another kind. */
static void write_checksum(const struct shot *shot, uint8_t *at, size_t length)
{
	uint8_t covered[128] = { 0 };
	size_t size, used = 0;
	/* All but ICMP of IPv4 cover addresses, length and protocol (RFC 9293, RFC 8200). */
	if (shot->protocol != IPPROTO_ICMP) {
		const struct sockaddr_storage *ends[] = { &shot->from, &shot->to };
		for (int i = 0; i < 2; i++, used += size) {
			const void *bytes = bytes_of(ends[i], &size);
			memcpy(covered + used, bytes, size);
		}
		covered[used + 1] = (uint8_t)shot->protocol;
		covered[used + 3] = (uint8_t)length;
		used += 4;
	}
	memcpy(covered + used, at, length);
	uint16_t sum = internet_checksum(covered, used + length);
	if (shot->protocol == IPPROTO_TCP)
		((struct tcphdr *)at)->check = sum;
	else if (shot->protocol == IPPROTO_UDP)
		((struct udphdr *)at)->check = sum;
	else if (shot->protocol != IPPROTO_SCTP)
		((struct icmphdr *)at)->checksum = sum;
}

size_t write_shot(const struct shot *shot, uint8_t *packet)
{
	bool v4 = shot->to.ss_family == AF_INET;
	size_t header = v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
	size_t length = write_transport(shot, packet + header);
	write_checksum(shot, packet + header, length);
	if (v4)
		/* What is zero the kernel fills in. */
		*(struct iphdr *)packet = (struct iphdr){
			.version = 4, .ihl = 5, .ttl = 64, .protocol = (uint8_t)shot->protocol,
			.saddr = ((const struct sockaddr_in *)&shot->from)->sin_addr.s_addr,
			.daddr = ((const struct sockaddr_in *)&shot->to)->sin_addr.s_addr
		};
	else
		*(struct ip6_hdr *)packet = (struct ip6_hdr){
			.ip6_flow = htonl(6u << 28), .ip6_plen = htons((uint16_t)length),
			.ip6_nxt = (uint8_t)shot->protocol, .ip6_hlim = 64,
			.ip6_src = ((const struct sockaddr_in6 *)&shot->from)->sin6_addr,
			.ip6_dst = ((const struct sockaddr_in6 *)&shot->to)->sin6_addr
		};
	return header + length;
}

/* The headers of IP. @returns where the transport's begins, 0 for none that is known. */
static size_t read_addresses(const uint8_t *bytes, size_t length, struct seen *seen)
{
	const struct iphdr *v4 = (const struct iphdr *)bytes;
	const struct ip6_hdr *v6 = (const struct ip6_hdr *)bytes;
	*seen = (struct seen){ 0 };
	if (length >= sizeof(*v4) && v4->version == 4) {
		*(struct sockaddr_in *)&seen->from = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = v4->saddr };
		*(struct sockaddr_in *)&seen->to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = v4->daddr };
		seen->protocol = v4->protocol;
		return (size_t)v4->ihl * 4;
	}
	if (length < sizeof(*v6) || bytes[0] >> 4 != 6)
		return 0;
	*(struct sockaddr_in6 *)&seen->from = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = v6->ip6_src };
	*(struct sockaddr_in6 *)&seen->to = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = v6->ip6_dst };
	seen->protocol = v6->ip6_nxt;
	return sizeof(*v6);
}

/* What belongs to one of our shots has its tag where a client has its port. */
static void read_ports(const uint8_t *at, struct seen *seen)
{
	uint16_t source = (uint16_t)(at[0] << 8 | at[1]), destination = (uint16_t)(at[2] << 8 | at[3]);
	seen->answer = destination >= FIRST_TAG;
	seen->tag = seen->answer ? destination : source;
	seen->port = seen->answer ? source : destination;
}

static bool read_error(const uint8_t *bytes, size_t length, struct seen *seen)
{
	struct seen quoted;
	size_t header = read_addresses(bytes, length, &quoted);
	if (header == 0 || length < header + 8)
		return false;
	read_ports(bytes + header, &quoted);
	seen->protocol = quoted.protocol;
	seen->tag = quoted.tag;
	seen->port = quoted.port;
	seen->answer = true;
	return true;
}

bool read_seen(const uint8_t *bytes, size_t length, struct seen *seen)
{
	size_t header = read_addresses(bytes, length, seen);
	if (header == 0 || length < header + sizeof(struct icmphdr))
		return false;
	if (seen->protocol != IPPROTO_ICMP && seen->protocol != IPPROTO_ICMPV6) {
		read_ports(bytes + header, seen);
		return true;
	}
	const struct icmphdr *icmp = (const struct icmphdr *)(bytes + header);
	bool v4 = seen->protocol == IPPROTO_ICMP;
	seen->tag = ntohs(icmp->un.echo.id);
	seen->sequence = ntohs(icmp->un.echo.sequence);
	if (icmp->type == (v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
		return true;
	seen->answer = true;
	if (icmp->type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		return true;
	bool is_error = v4 ? icmp->type == ICMP_DEST_UNREACH : icmp->type == ICMP6_DST_UNREACH || icmp->type == ICMP6_PARAM_PROB;
	return is_error && read_error(bytes + header + sizeof(*icmp), length - header - sizeof(*icmp), seen);
}
