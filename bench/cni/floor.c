/*
 * The kernel's own floor of attaching a pod: a veth made directly with its peer in the target namespace and set up, by
 * two netlink messages on sockets that are open already. Prints the microseconds of each, and deletes in between.
 *
 *   bench-floor NETNS COUNT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HOST_INDEX = 900000, POD_INDEX = 900001 };

struct message {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char attributes[512];
};

static long now_micros(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static struct rtattr *add(struct message *message, unsigned short type, const void *data, size_t length)
{
	struct rtattr *attribute = (struct rtattr *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));
	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(length);
	if (length > 0)
		memcpy(RTA_DATA(attribute), data, length);
	message->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(message->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
	return attribute;
}

static void end(struct message *message, struct rtattr *nest)
{
	nest->rta_len = (unsigned short)((char *)message + message->header.nlmsg_len - (char *)nest);
}

static void transact(int fd, struct message *message)
{
	char reply[4096];
	message->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, message, message->header.nlmsg_len, 0) < 0 || recv(fd, reply, sizeof(reply), 0) < 0) {
		perror("netlink");
		exit(1);
	}
	int error = -((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)reply))->error;
	if (error != 0) {
		fprintf(stderr, "netlink: %s\n", strerror(error));
		exit(1);
	}
}

static struct message begin(unsigned short type, unsigned short flags, int index, unsigned up)
{
	struct message message = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = type,
					       .nlmsg_flags = flags },
				   .link = { .ifi_index = index, .ifi_flags = up, .ifi_change = up } };
	return message;
}

static void create(int host, int pod, int namespace_fd)
{
	struct ifinfomsg peer_link = { .ifi_index = POD_INDEX };
	struct message message = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, HOST_INDEX, IFF_UP);
	add(&message, IFLA_IFNAME, "floor0", 7);
	struct rtattr *info = add(&message, IFLA_LINKINFO, NULL, 0);
	add(&message, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = add(&message, IFLA_INFO_DATA, NULL, 0);
	struct rtattr *peer = add(&message, VETH_INFO_PEER, &peer_link, sizeof(peer_link));
	add(&message, IFLA_IFNAME, "eth0", 5);
	add(&message, IFLA_NET_NS_FD, &namespace_fd, sizeof(namespace_fd));
	end(&message, peer);
	end(&message, data);
	end(&message, info);
	transact(host, &message);
	struct message up = begin(RTM_NEWLINK, 0, POD_INDEX, IFF_UP);
	transact(pod, &up);
}

int main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[2]) : 0;
	int namespace_fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (count < 1 || namespace_fd < 0 || setns(namespace_fd, CLONE_NEWNET) < 0)
		return 2;
	int pod = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (host < 0 || pod < 0 || setns(own, CLONE_NEWNET) < 0)
		return 2;
	for (int i = 0; i < count; i++) {
		long start = now_micros();
		create(host, pod, namespace_fd);
		printf("%ld\n", now_micros() - start);
		struct message gone = begin(RTM_DELLINK, 0, HOST_INDEX, 0);
		transact(host, &gone);
	}
	return 0;
}
