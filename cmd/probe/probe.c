#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int64_t now_micros(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void fail_errno(struct outcome *out, const char *what)
{
	bool late = errno == EAGAIN || errno == EINPROGRESS || errno == ETIMEDOUT;
	snprintf(out->error, sizeof(out->error), "%s: %s", what, late ? "no answer in time" : strerror(errno));
}

/* What does not fit is told by the kernel's own knowledge of the path, or by the ICMP error that came. */
void read_path_error(int fd, struct outcome *out)
{
	char control[512];
	struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };
	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		const struct sock_extended_err *error = (const struct sock_extended_err *)CMSG_DATA(c);
		if (error->ee_errno == EMSGSIZE)
			out->mtu = error->ee_info;
		if (error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6) {
			struct sockaddr_storage offender = { 0 };
			memcpy(&offender, SO_EE_OFFENDER(error),
			       c->cmsg_level == IPPROTO_IP ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
			format_address(&offender, out->offender, sizeof(out->offender));
		}
		snprintf(out->error, sizeof(out->error), "%s", strerror((int)error->ee_errno));
	}
}

int open_socket(const struct target *target, int type, int protocol, struct outcome *out)
{
	int fd = socket(target->address.ss_family, type | SOCK_CLOEXEC, protocol);
	if (fd < 0) {
		fail_errno(out, "socket");
		return -1;
	}
	struct timeval timeout = { .tv_sec = target->timeout_ms / 1000, .tv_usec = target->timeout_ms % 1000 * 1000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	int on = 1, discover = target->dont_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
	if (target->address.ss_family == AF_INET && type != SOCK_STREAM) {
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover));
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	} else if (type != SOCK_STREAM) {
		int whole = target->dont_fragment;
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, sizeof(discover));
		setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &whole, sizeof(whole));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	}
	return fd;
}

bool connect_socket(int fd, const struct target *target, struct outcome *out)
{
	if (connect(fd, (const struct sockaddr *)&target->address, target->address_length) == 0)
		return true;
	fail_errno(out, "connect");
	return false;
}

/* One line, without its end. */
bool read_answer(int fd, struct outcome *out)
{
	size_t used = 0;
	while (used < sizeof(out->answer) - 1) {
		ssize_t count = recv(fd, out->answer + used, sizeof(out->answer) - 1 - used, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			out->answer[0] = '\0';
			fail_errno(out, "answer");
			return false;
		}
		if (count == 0)
			break;
		used += (size_t)count;
		if (out->answer[used - 1] == '\n')
			break;
	}
	while (used > 0 && out->answer[used - 1] == '\n')
		used--;
	out->answer[used] = '\0';
	if (used == 0)
		snprintf(out->error, sizeof(out->error), "the other end closed without an answer");
	return used > 0;
}

void probe_tcp(const struct target *target, struct outcome *out)
{
	int fd = open_socket(target, SOCK_STREAM, 0, out);
	if (fd < 0)
		return;
	out->ok = connect_socket(fd, target, out) && read_answer(fd, out);
	close(fd);
}

void probe_udp(const struct target *target, struct outcome *out)
{
	enum { TRIES = 3 };
	struct target patient = *target;
	patient.timeout_ms = target->timeout_ms / TRIES;
	uint8_t *payload = calloc(1, target->size == 0 ? 1 : target->size);
	int fd = open_socket(&patient, SOCK_DGRAM, 0, out);
	if (fd >= 0 && payload != NULL && connect_socket(fd, target, out)) {
		for (int try = 0; try < TRIES && !out->ok; try++) {
			if (send(fd, payload, target->size, 0) < 0) {
				fail_errno(out, "send");
				read_path_error(fd, out);
				if (errno == EMSGSIZE || out->mtu != 0)
					break;
				continue;
			}
			out->ok = read_answer(fd, out);
			if (!out->ok)
				read_path_error(fd, out);
			if (out->mtu != 0)
				break;
		}
	}
	free(payload);
	if (fd >= 0)
		close(fd);
}

void probe_stream(const struct target *target, struct outcome *out)
{
	static const char cubic[] = "cubic";
	enum { CHUNK = 65536 };
	uint8_t *chunk = malloc(CHUNK);
	uint64_t sum = CHECKSUM_START, state = 88172645463325252ULL;
	char expected[ANSWER];
	int fd = open_socket(target, SOCK_STREAM, 0, out);
	bool sent = fd >= 0 && chunk != NULL;
	if (sent) {
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cubic, sizeof(cubic) - 1);
		sent = connect_socket(fd, target, out);
	}
	for (uint64_t left = target->size; sent && left > 0;) {
		size_t length = left < CHUNK ? (size_t)left : CHUNK;
		for (size_t i = 0; i < CHUNK; i += sizeof(state)) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			memcpy(chunk + i, &state, sizeof(state));
		}
		sum = checksum(sum, chunk, length);
		for (size_t at = 0; sent && at < length;) {
			ssize_t count = send(fd, chunk + at, length - at, MSG_NOSIGNAL);
			if (count >= 0)
				at += (size_t)count;
			else if (errno != EINTR)
				sent = false;
		}
		if (!sent)
			fail_errno(out, "send");
		left -= length;
	}
	snprintf(expected, sizeof(expected), "{\"bytes\":%llu,\"checksum\":\"%016llx\"}", (unsigned long long)target->size,
		 (unsigned long long)sum);
	if (sent && shutdown(fd, SHUT_WR) == 0 && read_answer(fd, out)) {
		out->ok = strcmp(out->answer, expected) == 0;
		if (!out->ok)
			snprintf(out->error, sizeof(out->error), "sent and received differ");
	}
	free(chunk);
	if (fd >= 0)
		close(fd);
}
