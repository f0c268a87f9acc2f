#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int namespace_open(const char *path, struct namespace_id *out)
{
	/* O_NONBLOCK: opening a FIFO or a device by mistake must not wait for anybody. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	struct statfs fs;
	struct stat st;
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		return -EINVAL;
	}
	out->fd = fd;
	out->device = st.st_dev;
	out->inode = st.st_ino;
	return 0;
}

int namespace_socket(int namespace_fd, int family, int type, int protocol)
{
	if (namespace_fd < 0) {
		int fd = socket(family, type | SOCK_CLOEXEC, protocol);
		return fd < 0 ? -errno : fd;
	}
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return -errno;
	if (setns(namespace_fd, CLONE_NEWNET) < 0) {
		int error = errno;
		close(own);
		return -error;
	}
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	int error = errno;
	/*
	 * A thread that stays in a pod's namespace would program the pod as if it were the node, and nobody would
	 * notice. There is no way on from here that is not worse than a restart.
	 */
	if (setns(own, CLONE_NEWNET) < 0) {
		perror("fairlead: cannot return from a pod's network namespace");
		abort();
	}
	close(own);
	return fd < 0 ? -error : fd;
}
