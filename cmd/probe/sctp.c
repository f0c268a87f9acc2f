#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * SCTP by hand (RFC 9260), for kernels without its sockets: an INIT asks, an ABORT of what is reached answers. Policies
 * see the same packets that a real association would begin with.
 */
enum { CHUNK_INIT = 1, CHUNK_ABORT = 6 };

struct common {
	uint16_t source, destination;
	uint32_t tag;
	uint32_t checksum;
	uint8_t type, flags;
	uint16_t length;
} __attribute__((packed));

struct init {
	struct common common;
	uint32_t tag;
	uint32_t window;
	uint16_t outbound, inbound;
	uint32_t first;
} __attribute__((packed));

/* CRC32c, reflected, as SCTP has it; without it connection tracking disregards the packet. */
static uint32_t crc32c(const uint8_t *bytes, size_t length)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

/* Raw IPv6 sockets give no header. */
static const struct common *read_packet(const uint8_t *bytes, ssize_t length, int family)
{
	size_t header = family == AF_INET ? (size_t)((const struct iphdr *)bytes)->ihl * 4 : 0;
	return length < (ssize_t)(header + sizeof(struct common)) ? NULL : (const struct common *)(bytes + header);
}

bool answer_sctp(int fd)
{
	uint8_t bytes[2048];
	struct sockaddr_storage from;
	socklen_t from_length = sizeof(from);
	ssize_t length = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &from_length);
	if (length < 0)
		return false;
	const struct common *asked = read_packet(bytes, length, from.ss_family);
	if (asked == NULL || asked->type != CHUNK_INIT ||
	    (const uint8_t *)asked + sizeof(struct init) > bytes + length)
		return true;
	struct common reply = { .source = asked->destination,
				.destination = asked->source,
				.tag = ((const struct init *)asked)->tag,
				.type = CHUNK_ABORT,
				.length = htons(4) };
	reply.checksum = crc32c((const uint8_t *)&reply, sizeof(reply));
	sendto(fd, &reply, sizeof(reply), MSG_NOSIGNAL, (struct sockaddr *)&from, from_length);
	return true;
}

/* Ports and tag tell one probe's answer from another's. */
static bool await_abort(int fd, const struct init *request, const struct target *target, struct outcome *out)
{
	uint8_t bytes[2048];
	int64_t deadline = now_micros() + (int64_t)target->timeout_ms * 1000;
	while (now_micros() < deadline) {
		ssize_t length = recv(fd, bytes, sizeof(bytes), 0);
		if (length < 0) {
			fail_errno(out, "answer");
			return false;
		}
		const struct common *reply = read_packet(bytes, length, target->address.ss_family);
		if (reply != NULL && reply->type == CHUNK_ABORT && reply->tag == request->tag &&
		    reply->destination == request->common.source)
			return true;
	}
	errno = ETIMEDOUT;
	fail_errno(out, "answer");
	return false;
}

size_t write_sctp_init(uint8_t *at, uint16_t source, uint16_t destination, uint32_t tag)
{
	struct init request = {
		.common = { .source = source,
			    .destination = destination,
			    .type = CHUNK_INIT,
			    .length = htons(sizeof(request) - 12) },
		.tag = tag,
		.window = htonl(65536),
		.outbound = htons(1),
		.inbound = htons(1),
		.first = htonl(1),
	};
	request.common.checksum = crc32c((const uint8_t *)&request, sizeof(request));
	memcpy(at, &request, sizeof(request));
	return sizeof(request);
}

void probe_sctp(const struct target *target, struct outcome *out)
{
	static uint16_t counter;
	uint16_t number = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
	struct target raw = *target;
	/* A raw socket of IPv6 takes the port for a protocol. */
	((struct sockaddr_in6 *)&raw.address)->sin6_port = 0;
	struct init request;
	write_sctp_init((uint8_t *)&request, htons((uint16_t)(32768 + (getpid() * 131 + number) % 28000)),
			htons(port_of(&target->address)), htonl((uint32_t)getpid() << 16 | number));
	int fd = open_socket(&raw, SOCK_RAW, IPPROTO_SCTP, out);
	if (fd < 0)
		return;
	if (connect_socket(fd, &raw, out)) {
		if (send(fd, &request, sizeof(request), 0) < 0)
			fail_errno(out, "send");
		else
			out->ok = await_abort(fd, &request, target, out);
	}
	close(fd);
}
