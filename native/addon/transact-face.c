#define _GNU_SOURCE
#include "face.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static napi_value reply_object(napi_env env, struct reply *reply, uint32_t first_sequence)
{
	napi_value result, interrupted, more;
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "replies", give_bytes(env, reply->bytes, reply->length));
	napi_get_boolean(env, reply->interrupted, &interrupted);
	napi_set_named_property(env, result, "interrupted", interrupted);
	napi_get_boolean(env, reply->more, &more);
	napi_set_named_property(env, result, "more", more);
	set_number(env, result, "firstSequence", first_sequence);
	return result;
}

static bool get_request(napi_env env, napi_callback_info info, int32_t *fd, uint8_t **messages, size_t *length)
{
	napi_value arguments[2];
	return get_arguments(env, info, 2, arguments) && napi_get_value_int32(env, arguments[0], fd) == napi_ok &&
	       napi_get_buffer_info(env, arguments[1], (void **)messages, length) == napi_ok;
}

napi_value transact(napi_env env, napi_callback_info info)
{
	int32_t fd;
	uint8_t *messages;
	size_t length;
	if (!get_request(env, info, &fd, &messages, &length))
		return throw_type(env, "transact(fd, messages)");
	struct reply reply;
	uint32_t first_sequence;
	int error = netlink_transact(fd, messages, length, &first_sequence, &reply);
	if (error < 0)
		return throw_errno(env, "netlink", error);
	return reply_object(env, &reply, first_sequence);
}

struct job {
	napi_async_work work;
	napi_deferred deferred;
	int fd;
	uint8_t *messages;
	size_t length;
	size_t piece; /* 0: all of it at once */
	uint32_t first_sequence;
	struct reply reply;
	int error;
};

static void job_run(napi_env env, void *data)
{
	(void)env;
	struct job *job = data;
	if (job->piece == 0)
		job->error =
			netlink_transact(job->fd, job->messages, job->length, &job->first_sequence, &job->reply);
	else
		job->error = netlink_dump(job->fd, job->messages, job->length, &job->first_sequence, job->piece,
					  &job->reply);
}

static void job_done(napi_env env, napi_status status, void *data)
{
	struct job *job = data;
	int error = status == napi_ok ? job->error : -ECANCELED;
	if (error < 0) {
		napi_value thrown;
		throw_errno(env, "netlink", error);
		napi_get_and_clear_last_exception(env, &thrown);
		napi_reject_deferred(env, job->deferred, thrown);
	} else {
		napi_resolve_deferred(env, job->deferred, reply_object(env, &job->reply, job->first_sequence));
	}
	napi_delete_async_work(env, job->work);
	free(job->messages);
	free(job);
}

static struct job *job_create(int fd, const uint8_t *messages, size_t length)
{
	struct job *job = calloc(1, sizeof(*job));
	uint8_t *copy = malloc(length == 0 ? 1 : length);
	if (job == NULL || copy == NULL) {
		free(job);
		free(copy);
		return NULL;
	}
	memcpy(copy, messages, length);
	*job = (struct job){ .fd = fd, .messages = copy, .length = length };
	return job;
}

static napi_value start(napi_env env, struct job *job)
{
	napi_value promise, name;
	if (job == NULL)
		return throw_errno(env, "netlink", -ENOMEM);
	napi_create_promise(env, &job->deferred, &promise);
	napi_create_string_utf8(env, "netlink", NAPI_AUTO_LENGTH, &name);
	napi_create_async_work(env, NULL, name, job_run, job_done, job, &job->work);
	napi_queue_async_work(env, job->work);
	return promise;
}

napi_value transact_async(napi_env env, napi_callback_info info)
{
	int32_t fd;
	uint8_t *messages;
	size_t length;
	if (!get_request(env, info, &fd, &messages, &length))
		return throw_type(env, "transactAsync(fd, messages)");
	return start(env, job_create(fd, messages, length));
}

napi_value dump_async(napi_env env, napi_callback_info info)
{
	napi_value arguments[4];
	int32_t fd;
	uint8_t *message;
	size_t length;
	uint32_t piece, sequence;
	if (!get_arguments(env, info, 4, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
	    napi_get_buffer_info(env, arguments[1], (void **)&message, &length) != napi_ok ||
	    napi_get_value_uint32(env, arguments[2], &piece) != napi_ok || piece == 0 ||
	    napi_get_value_uint32(env, arguments[3], &sequence) != napi_ok)
		return throw_type(env, "dumpAsync(fd, message, piece, sequence)");
	struct job *job = job_create(fd, message, length);
	if (job != NULL) {
		job->piece = piece;
		job->first_sequence = sequence;
	}
	return start(env, job);
}
