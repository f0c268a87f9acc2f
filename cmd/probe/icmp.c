#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
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
		size_t header = (size_t)((struct iphdr *)packet)->ihl * 4;
		const struct icmphdr *icmp = (const struct icmphdr *)(packet + header);
		if ((size_t)length >= header + sizeof(*icmp) && icmp->type == ICMP_ECHOREPLY && ntohs(icmp->un.echo.id) == id) {
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
	size_t length = sizeof(struct icmphdr) + target->size;
	struct icmphdr *request = calloc(1, length);
	int fd = open_socket(target, SOCK_RAW, IPPROTO_ICMP, out);
	if (fd >= 0 && request != NULL && connect_socket(fd, target, out)) {
		uint16_t id = next_id();
		request->type = ICMP_ECHO;
		request->un.echo.id = htons(id);
		if (target->size >= sizeof(uint16_t))
			memcpy(request + 1, &request->un.echo.id, sizeof(uint16_t));
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
