#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Every probe has a number of its own, by which the receiver's log is read afterwards. It stands in the payload too:
 * address translation changes the identifier of the header.
 */
static uint16_t next_id(void)
{
	static uint16_t counter;
	return (uint16_t)(getpid() * 97 + __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
}

/* Echo requests and replies of both families have one layout: struct icmphdr. */
struct echo_types {
	int protocol;
	uint8_t request, reply;
};

static struct echo_types echo_types_of(const struct target *target)
{
	return target->address.ss_family == AF_INET ?
		       (struct echo_types){ IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHOREPLY } :
		       (struct echo_types){ IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY };
}

/* A raw socket sees all ICMP of the namespace: only the answer to this very request counts. */
static bool await_reply(int fd, uint16_t id, const struct target *target, struct outcome *out)
{
	uint8_t packet[65536];
	int64_t deadline = now_micros() + (int64_t)target->timeout_ms * 1000;
	while (now_micros() < deadline) {
		ssize_t length = recv(fd, packet, sizeof(packet), 0);
		if (length < 0) {
			fail_errno(out, "answer");
			read_path_error(fd, out);
			return false;
		}
		/* Raw IPv6 sockets give no header. */
		size_t header = target->address.ss_family == AF_INET ? (size_t)((struct iphdr *)packet)->ihl * 4 : 0;
		const struct icmphdr *icmp = (const struct icmphdr *)(packet + header);
		if ((size_t)length >= header + sizeof(*icmp) && icmp->type == echo_types_of(target).reply &&
		    ntohs(icmp->un.echo.id) == id) {
			snprintf(out->answer, sizeof(out->answer), "{\"id\":%u}", id);
			return true;
		}
	}
	errno = ETIMEDOUT;
	fail_errno(out, "answer");
	return false;
}

void probe_icmp(const struct target *target, struct outcome *out)
{
	struct echo_types types = echo_types_of(target);
	size_t length = sizeof(struct icmphdr) + target->size;
	struct icmphdr *request = calloc(1, length);
	int fd = open_socket(target, SOCK_RAW, types.protocol, out);
	if (fd >= 0 && request != NULL && connect_socket(fd, target, out)) {
		uint16_t id = next_id();
		request->type = types.request;
		request->un.echo.id = htons(id);
		if (target->size >= sizeof(uint16_t))
			memcpy(request + 1, &request->un.echo.id, sizeof(uint16_t));
		/* That of ICMPv6 covers addresses too: the kernel fills it in. */
		if (types.protocol == IPPROTO_ICMP)
			request->checksum = internet_checksum(request, length);
		if (send(fd, request, length, 0) < 0) {
			fail_errno(out, "send");
			read_path_error(fd, out);
		} else {
			out->ok = await_reply(fd, id, target, out);
		}
	}
	free(request);
	if (fd >= 0)
		close(fd);
}
