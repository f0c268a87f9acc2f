#define _GNU_SOURCE
#include "cni.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const uint32_t MAGIC = 0x464c4331;
enum { HEADER = 12, CONNECT_MS = 900, ANSWER_MS = 90000 };

bool call_encode(struct bytes *frame, char *const *environment, const struct bytes *input)
{
	struct bytes variables = { 0 };
	bool fine = true;
	for (; fine && *environment != NULL; environment++)
		if (strncmp(*environment, "CNI_", 4) == 0)
			fine = bytes_append(&variables, *environment, strlen(*environment) + 1);
	fine = fine && bytes_append_u32(frame, MAGIC) && bytes_append_u32(frame, (uint32_t)variables.length) &&
	       bytes_append_u32(frame, (uint32_t)input->length) &&
	       bytes_append(frame, variables.data, variables.length) && bytes_append(frame, input->data, input->length);
	bytes_free(&variables);
	return fine;
}

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

bool call_decode(const uint8_t *bytes, size_t length, uint32_t *exit_code, size_t *text_offset, size_t *text_length)
{
	if (length < HEADER || read_u32(bytes) != MAGIC)
		return false;
	*exit_code = read_u32(bytes + 4);
	*text_length = read_u32(bytes + 8);
	*text_offset = HEADER;
	return *text_length <= REPLY_LIMIT && *text_length == length - HEADER;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd poller = { .fd = fd, .events = events };
	for (;;) {
		int64_t left = deadline - now_ms();
		int ready = poll(&poller, 1, left > 0 ? (int)left : 0);
		if (ready > 0)
			return true;
		if (ready == 0 || errno != EINTR)
			return false;
	}
}

static int connect_agent(const char *path, int64_t deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* EAGAIN: the queue of callers is full; the agent may be busy, or it may hang. */
	while (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || now_ms() >= deadline) {
			close(fd);
			return -1;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	return fd;
}

static bool send_all(int fd, const struct bytes *frame, int64_t deadline)
{
	for (size_t sent = 0; sent < frame->length;) {
		ssize_t count = send(fd, frame->data + sent, frame->length - sent, MSG_NOSIGNAL);
		if (count >= 0)
			sent += (size_t)count;
		else if (errno == EAGAIN ? !wait_for(fd, POLLOUT, deadline) : errno != EINTR)
			return false;
	}
	return true;
}

/* Until the agent closes its end. */
static bool receive_all(int fd, struct bytes *reply, int64_t deadline)
{
	uint8_t chunk[16384];
	for (;;) {
		ssize_t count = recv(fd, chunk, sizeof(chunk), 0);
		if (count == 0)
			return true;
		if (count > 0) {
			if (reply->length > HEADER + REPLY_LIMIT || !bytes_append(reply, chunk, (size_t)count))
				return false;
		} else if (errno == EAGAIN ? !wait_for(fd, POLLIN, deadline) : errno != EINTR) {
			return false;
		}
	}
}

enum call_outcome call_agent(const char *socket_path, const struct bytes *frame, uint32_t *exit_code,
			     struct bytes *text)
{
	int fd = connect_agent(socket_path, now_ms() + CONNECT_MS);
	if (fd < 0)
		return CALL_NO_AGENT;
	int64_t deadline = now_ms() + ANSWER_MS;
	struct bytes reply = { 0 };
	size_t offset, length;
	bool answered = send_all(fd, frame, deadline) && receive_all(fd, &reply, deadline) &&
			call_decode(reply.data, reply.length, exit_code, &offset, &length) &&
			bytes_append(text, reply.data + offset, length);
	bytes_free(&reply);
	close(fd);
	return answered ? CALL_ANSWERED : CALL_BROKEN_OFF;
}
