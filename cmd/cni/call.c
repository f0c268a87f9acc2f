#define _GNU_SOURCE
#include "cni.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* How long the agent may take for an answer. */
#ifndef ANSWER_MS
#define ANSWER_MS 90000
#endif

static const uint32_t MAGIC = 0x464c4331;
enum { HEADER = 12, RETRY_NS = 5000000 };

enum encode_outcome call_encode(struct bytes *frame, char *const *environment, const struct bytes *input)
{
	struct bytes variables = { 0 };
	bool fine = true;
	for (; fine && *environment != NULL; environment++)
		if (strncmp(*environment, "CNI_", 4) == 0)
			fine = bytes_append(&variables, *environment, strlen(*environment) + 1);
	bool fits = variables.length <= ENVIRONMENT_LIMIT;
	fine = fine && fits && bytes_append_u32(frame, MAGIC) && bytes_append_u32(frame, (uint32_t)variables.length) &&
	       bytes_append_u32(frame, (uint32_t)input->length) &&
	       bytes_append(frame, variables.data, variables.length) && bytes_append(frame, input->data, input->length);
	bytes_free(&variables);
	return fine ? ENCODED : fits ? OUT_OF_MEMORY : ENVIRONMENT_TOO_LARGE;
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

/* false and ETIMEDOUT when the time is over. */
static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd poller = { .fd = fd, .events = events };
	for (;;) {
		int64_t left = deadline - now_ms();
		int ready = poll(&poller, 1, left > 0 ? (int)left : 0);
		if (ready > 0)
			return true;
		if (ready == 0)
			errno = ETIMEDOUT;
		if (errno != EINTR)
			return false;
	}
}

/* A socket, or -errno. */
static int connect_agent(const char *path, int64_t deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	if (length > SOCKET_PATH_LIMIT)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;
		/* EAGAIN: the queue of callers is full; the agent may be busy, or it may hang. */
		if (error != EINTR && (error != EAGAIN || now_ms() >= deadline)) {
			close(fd);
			return -error;
		}
		if (error == EAGAIN)
			nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
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

enum call_outcome call_agent(const char *socket_path, const struct bytes *frame, int connect_ms, struct reply *reply)
{
	int fd = connect_agent(socket_path, now_ms() + connect_ms);
	if (fd < 0) {
		reply->error = -fd;
		return CALL_NO_AGENT;
	}
	int64_t deadline = now_ms() + ANSWER_MS;
	struct bytes received = { 0 };
	size_t offset, length;
	errno = 0;
	bool complete = send_all(fd, frame, deadline) && receive_all(fd, &received, deadline);
	enum call_outcome outcome = !complete && errno == ETIMEDOUT ? CALL_TIMED_OUT : CALL_ENDED;
	if (complete && call_decode(received.data, received.length, &reply->exit_code, &offset, &length) &&
	    bytes_append(&reply->text, received.data + offset, length))
		outcome = CALL_ANSWERED;
	bytes_free(&received);
	close(fd);
	return outcome;
}
