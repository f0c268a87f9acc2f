#define _GNU_SOURCE
#include "cni.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a, 64 bits: a file name from whatever names the attachment. */
static uint64_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325;
	for (; *text != '\0'; text++)
		value = (value ^ (uint8_t)*text) * 0x100000001b3;
	return value;
}

static bool write_all(int fd, const struct bytes *bytes)
{
	for (size_t written = 0; written < bytes->length;) {
		ssize_t count = write(fd, bytes->data + written, bytes->length - written);
		if (count < 0 && errno != EINTR)
			return false;
		if (count > 0)
			written += (size_t)count;
	}
	return true;
}

static int make_directories(const char *state_directory, const char *directory)
{
	if (mkdir(state_directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	return mkdir(directory, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int save(const char *directory, const char *identity, const struct bytes *frame)
{
	char *path, *aside;
	if (asprintf(&path, "%s/%016llx.del", directory, (unsigned long long)hash(identity)) < 0)
		return -ENOMEM;
	if (asprintf(&aside, "%s.%d.new", path, (int)getpid()) < 0) {
		free(path);
		return -ENOMEM;
	}
	int error = 0;
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || !write_all(fd, frame) || fsync(fd) < 0 || rename(aside, path) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	if (error < 0)
		unlink(aside);
	free(aside);
	free(path);
	return error;
}

int pending_save(const char *state_directory, const char *identity, const struct bytes *frame)
{
	char *directory;
	if (asprintf(&directory, "%s/pending", state_directory) < 0)
		return -ENOMEM;
	int error = make_directories(state_directory, directory);
	if (error == 0)
		error = save(directory, identity, frame);
	free(directory);
	return error;
}
