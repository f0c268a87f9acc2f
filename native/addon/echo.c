#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What an echo carries and its answer brings back (RFC 792, RFC 4443). */
struct payload {
	char mark[8];
	uint32_t token;
	uint32_t unused;
	int64_t sent_ns; /* CLOCK_REALTIME, as the kernel stamps what arrives */
	uint8_t filling[32];
};

struct echo {
	struct icmphdr header; /* that of ICMPv6 has the same layout */
	struct payload payload;
};

static const char MARK[8] = "fairlead";
enum { RECEIVE_BUFFER = 1 << 20, LARGEST_HEADER = 60 };

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

/* A raw socket sees all ICMP of the namespace: all but answers is kept away from it. */
static int see_answers_alone(int fd, int family)
{
	struct icmp_filter filter4 = { .data = ~(1U << ICMP_ECHOREPLY) };
	struct icmp6_filter filter6;
	memset(&filter6, 0xff, sizeof(filter6));
	filter6.data[ICMPV6_ECHO_REPLY / 32] &= ~(1U << (ICMPV6_ECHO_REPLY % 32));
	return family == AF_INET ? setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter4, sizeof(filter4)) :
				   setsockopt(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, &filter6, sizeof(filter6));
}

int echo_open(int family)
{
	int one = 1, size = RECEIVE_BUFFER;
	int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	/* Where net.ipv4.ping_group_range lets us, the kernel itself sorts the answers; else it takes CAP_NET_RAW. */
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	bool raw = fd < 0;
	if (raw)
		fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
	    (raw && see_answers_alone(fd, family) < 0)) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

/* RFC 1071; a ping socket and ICMPv6 have the kernel fill it in. */
static uint16_t checksum(const void *bytes, size_t length)
{
	const uint16_t *words = bytes;
	uint32_t sum = 0;
	for (size_t i = 0; i < length / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

int echo_send(int fd, const struct sockaddr *to, size_t to_length, uint32_t token)
{
	struct timespec now;
	struct echo echo = { .payload = { .token = token } };
	echo.header.type = to->sa_family == AF_INET ? ICMP_ECHO : ICMPV6_ECHO_REQUEST;
	echo.header.un.echo.id = (uint16_t)getpid();
	echo.header.un.echo.sequence = (uint16_t)token;
	memcpy(echo.payload.mark, MARK, sizeof(MARK));
	clock_gettime(CLOCK_REALTIME, &now);
	echo.payload.sent_ns = nanoseconds(&now);
	if (to->sa_family == AF_INET)
		echo.header.checksum = checksum(&echo, sizeof(echo));
	return sendto(fd, &echo, sizeof(echo), 0, to, (socklen_t)to_length) < 0 ? -errno : 0;
}

static int64_t arrival_of(struct msghdr *message)
{
	struct timespec time = { 0 };
	for (struct cmsghdr *item = CMSG_FIRSTHDR(message); item != NULL; item = CMSG_NXTHDR(message, item))
		if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_TIMESTAMPNS)
			memcpy(&time, CMSG_DATA(item), sizeof(time));
	return nanoseconds(&time);
}

/* Raw IPv4 sockets give the IP header too. */
static size_t header_length(int fd, const struct sockaddr_storage *from, const uint8_t *packet)
{
	int type = 0;
	socklen_t length = sizeof(type);
	bool raw = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_RAW;
	return raw && from->ss_family == AF_INET ? (size_t)(packet[0] & 0x0f) * 4 : 0;
}

static void put_sender(const struct sockaddr_storage *from, struct echo_answer *out)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	bool is_v4 = from->ss_family == AF_INET;
	out->from_length = is_v4 ? sizeof(v4->sin_addr) : sizeof(v6->sin6_addr);
	memcpy(out->from, is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, out->from_length);
}

int echo_receive(int fd, struct echo_answer *out)
{
	for (;;) {
		uint8_t packet[LARGEST_HEADER + sizeof(struct echo)];
		uint8_t control[CMSG_SPACE(sizeof(struct timespec)) + 64];
		struct sockaddr_storage from = { 0 };
		struct iovec part = { packet, sizeof(packet) };
		struct msghdr message = { .msg_name = &from,
					  .msg_namelen = sizeof(from),
					  .msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		struct echo echo;
		ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? 0 : -errno;
		size_t header = length == 0 ? 0 : header_length(fd, &from, packet);
		if ((size_t)length < header + sizeof(echo))
			continue;
		memcpy(&echo, packet + header, sizeof(echo));
		if (memcmp(echo.payload.mark, MARK, sizeof(MARK)) != 0)
			continue;
		*out = (struct echo_answer){ .token = echo.payload.token,
					     .nanoseconds = arrival_of(&message) - echo.payload.sent_ns };
		put_sender(&from, out);
		return 1;
	}
}
