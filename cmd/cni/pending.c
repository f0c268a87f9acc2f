#define _GNU_SOURCE
#include "cni.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* <state>/pending/<hash>.del, or NULL without memory. */
static char *path_of(const char *state_directory, const char *identity)
{
	char *path;
	unsigned long long name = hash(identity);
	return asprintf(&path, "%s/pending/%016llx.del", state_directory, name) < 0 ? NULL : path;
}

static int make_directories(const char *state_directory)
{
	char *directory;
	if (mkdir(state_directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (asprintf(&directory, "%s/pending", state_directory) < 0)
		return -ENOMEM;
	int error = mkdir(directory, 0700) < 0 && errno != EEXIST ? -errno : 0;
	free(directory);
	return error;
}

/* A name is durable when its directory is. */
static int sync_directory(const char *path)
{
	const char *end = strrchr(path, '/');
	char *directory = end == NULL ? NULL : strndup(path, (size_t)(end - path));
	if (directory == NULL)
		return -ENOMEM;
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(directory);
	return error;
}

/* Whole or not at all: written aside, then renamed. */
static int save(const char *path, const struct bytes *frame)
{
	char *aside;
	if (asprintf(&aside, "%s.%d.new", path, (int)getpid()) < 0)
		return -ENOMEM;
	int error = 0;
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || !write_all(fd, frame->data, frame->length) || fsync(fd) < 0 || rename(aside, path) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	if (error < 0)
		unlink(aside);
	free(aside);
	return error;
}

int pending_save(const char *state_directory, const char *identity, const struct bytes *frame)
{
	int error = make_directories(state_directory);
	if (error < 0)
		return error;
	char *path = path_of(state_directory, identity);
	if (path == NULL)
		return -ENOMEM;
	error = save(path, frame);
	if (error == 0)
		error = sync_directory(path);
	free(path);
	return error;
}

void pending_forget(const char *state_directory, const char *identity)
{
	char *path = path_of(state_directory, identity);
	if (path != NULL)
		unlink(path);
	free(path);
}
