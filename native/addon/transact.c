#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Which of the messages of one request still wait for their end. */
struct ledger {
	uint32_t first; /* sequence number of the first message */
	uint32_t count;
	uint32_t open;
	bool *waits;
};

static uint32_t next_sequence = 1;

static struct nlmsghdr *header_at(uint8_t *bytes, size_t offset, size_t length)
{
	if (length - offset < sizeof(struct nlmsghdr))
		return NULL;
	struct nlmsghdr *header = (struct nlmsghdr *)(bytes + offset);
	if (header->nlmsg_len < sizeof(*header) || header->nlmsg_len > length - offset)
		return NULL;
	return header;
}

static size_t aligned_end(const struct nlmsghdr *header, size_t offset, size_t length)
{
	size_t end = offset + NLMSG_ALIGN(header->nlmsg_len);
	return end < length ? end : length;
}

static bool is_dump(const struct nlmsghdr *header)
{
	/* A change may have the same bits (NLM_F_REPLACE | NLM_F_EXCL); it asks for an acknowledgement anyway. */
	return (header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
}

static int ledger_open(struct ledger *ledger, uint8_t *messages, size_t length)
{
	uint32_t count = 0;
	for (size_t at = 0; at < length; count++) {
		struct nlmsghdr *header = header_at(messages, at, length);
		if (header == NULL)
			return -EBADMSG;
		at = aligned_end(header, at, length);
	}
	ledger->waits = calloc(count == 0 ? 1 : count, sizeof(bool));
	if (ledger->waits == NULL)
		return -ENOMEM;
	ledger->count = count;
	ledger->open = 0;
	ledger->first = __atomic_fetch_add(&next_sequence, count, __ATOMIC_RELAXED);
	uint32_t index = 0;
	for (size_t at = 0; at < length; index++) {
		struct nlmsghdr *header = header_at(messages, at, length);
		header->nlmsg_seq = ledger->first + index;
		header->nlmsg_pid = 0;
		if ((header->nlmsg_flags & NLM_F_ACK) || is_dump(header)) {
			ledger->waits[index] = true;
			ledger->open++;
		}
		at = aligned_end(header, at, length);
	}
	return 0;
}

static void ledger_close(struct ledger *ledger, uint32_t index)
{
	if (ledger->waits[index]) {
		ledger->waits[index] = false;
		ledger->open--;
	}
}

static int reply_append(struct reply *reply, const uint8_t *bytes, size_t length)
{
	size_t padded = NLMSG_ALIGN(length);
	if (reply->length + padded > reply->capacity) {
		size_t capacity = (reply->capacity == 0 ? 4096 : reply->capacity * 2) + padded;
		uint8_t *grown = realloc(reply->bytes, capacity);
		if (grown == NULL)
			return -ENOMEM;
		reply->bytes = grown;
		reply->capacity = capacity;
	}
	memcpy(reply->bytes + reply->length, bytes, length);
	memset(reply->bytes + reply->length + length, 0, padded - length);
	reply->length += padded;
	return 0;
}

/*
 * A batch of netfilter's that cannot begin or end is answered on its first message, which asks for nothing, and then
 * for nothing else. Message types overlap between protocols (16 is RTM_NEWLINK too), so the socket's own counts.
 */
static bool ends_batch(int fd, const struct nlmsghdr *header)
{
	const struct nlmsgerr *error = (const struct nlmsgerr *)(header + 1);
	int protocol = 0;
	socklen_t length = sizeof(protocol);
	return header->nlmsg_len >= sizeof(*header) + sizeof(*error) && error->error != 0 &&
	       error->msg.nlmsg_type == NFNL_MSG_BATCH_BEGIN &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == NETLINK_NETFILTER;
}

/* Files one datagram; stale answers of an earlier request that was given up are not ours. */
static int file_datagram(int fd, struct ledger *ledger, struct reply *reply, uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		struct nlmsghdr *header = header_at(bytes, at, length);
		if (header == NULL)
			return -EBADMSG;
		uint32_t index = header->nlmsg_seq - ledger->first;
		if (index < ledger->count) {
			int error = reply_append(reply, (uint8_t *)header, header->nlmsg_len);
			if (error < 0)
				return error;
			if (header->nlmsg_flags & NLM_F_DUMP_INTR)
				reply->interrupted = true;
			if (header->nlmsg_type == NLMSG_ERROR && !ledger->waits[index] && ends_batch(fd, header))
				ledger->open = 0;
			else if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE)
				ledger_close(ledger, index);
		}
		at = aligned_end(header, at, length);
	}
	return 0;
}

static ssize_t send_all(int fd, const uint8_t *messages, size_t length)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec iov = { .iov_base = (void *)messages, .iov_len = length };
	struct msghdr message = { .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;
	do
		sent = sendmsg(fd, &message, 0);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* The length of the next datagram; waits for it. */
static ssize_t next_length(int fd)
{
	ssize_t length;
	do
		length = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return length;
}

/* One datagram of whatever size into a buffer that grows; its length, 0 for one of another sender, or -errno. */
static ssize_t receive(int fd, uint8_t **buffer, size_t *capacity)
{
	struct sockaddr_nl sender = { 0 };
	socklen_t sender_length = sizeof(sender);
	ssize_t length = next_length(fd);
	if (length < 0)
		return length;
	if ((size_t)length > *capacity) {
		uint8_t *grown = realloc(*buffer, (size_t)length);
		if (grown == NULL)
			return -ENOMEM;
		*buffer = grown;
		*capacity = (size_t)length;
	}
	do
		length = recvfrom(fd, *buffer, *capacity, 0, (struct sockaddr *)&sender, &sender_length);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	return sender.nl_pid == 0 ? length : 0;
}

/* Reads until nothing is open any more, or there are so many bytes. */
static int gather(int fd, struct ledger *ledger, size_t piece, struct reply *out)
{
	size_t capacity = 32768;
	uint8_t *buffer = malloc(capacity);
	ssize_t result = buffer == NULL ? -ENOMEM : 0;
	while (result >= 0 && ledger->open > 0 && out->length < piece) {
		result = receive(fd, &buffer, &capacity);
		if (result > 0) {
			int error = file_datagram(fd, ledger, out, buffer, (size_t)result);
			if (error < 0)
				result = error;
		}
	}
	free(buffer);
	if (result < 0)
		reply_free(out);
	else
		out->more = ledger->open > 0;
	return result < 0 ? (int)result : 0;
}

static int send_and_gather(int fd, uint8_t *messages, size_t length, uint32_t *first_sequence, size_t piece,
			   struct reply *out)
{
	struct ledger ledger = { 0 };
	*out = (struct reply){ 0 };
	int error = ledger_open(&ledger, messages, length);
	if (error < 0)
		return error;
	*first_sequence = ledger.first;
	if (ledger.count > 0) {
		ssize_t sent = send_all(fd, messages, length);
		error = sent < 0 ? (int)sent : gather(fd, &ledger, piece, out);
	}
	free(ledger.waits);
	return error;
}

int netlink_transact(int fd, uint8_t *messages, size_t length, uint32_t *first_sequence, struct reply *out)
{
	return send_and_gather(fd, messages, length, first_sequence, SIZE_MAX, out);
}

int netlink_dump(int fd, uint8_t *message, size_t length, uint32_t *sequence, size_t piece, struct reply *out)
{
	if (length > 0)
		return send_and_gather(fd, message, length, sequence, piece, out);
	bool waits = true;
	struct ledger ledger = { .first = *sequence, .count = 1, .open = 1, .waits = &waits };
	*out = (struct reply){ 0 };
	return gather(fd, &ledger, piece, out);
}

void reply_free(struct reply *reply)
{
	free(reply->bytes);
	*reply = (struct reply){ 0 };
}
