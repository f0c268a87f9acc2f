/*
 * The Node-API face of the addon: checks what JavaScript passes, calls the parts, and turns -errno into an Error with
 * `code`. Nothing here knows netlink. Signatures: src/netlink/native.ts.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include "addon.h"

#include <errno.h>
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static napi_value throw_errno(napi_env env, const char *what, int error)
{
	char message[128];
	const char *name = strerrorname_np(-error);
	snprintf(message, sizeof(message), "%s: %s", what, strerror(-error));
	napi_throw_error(env, name == NULL ? "EUNKNOWN" : name, message);
	return NULL;
}

static napi_value throw_type(napi_env env, const char *message)
{
	napi_throw_type_error(env, NULL, message);
	return NULL;
}

static bool get_arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *arguments)
{
	size_t count = wanted;
	return napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok && count >= wanted;
}

static void set_number(napi_env env, napi_value object, const char *name, double number)
{
	napi_value value;
	napi_create_double(env, number, &value);
	napi_set_named_property(env, object, name, value);
}

static napi_value open_namespace(napi_env env, napi_callback_info info)
{
	napi_value arguments[1], result;
	size_t length;
	if (!get_arguments(env, info, 1, arguments) ||
	    napi_get_value_string_utf8(env, arguments[0], NULL, 0, &length) != napi_ok)
		return throw_type(env, "openNamespace(path)");
	char *path = malloc(length + 1);
	if (path == NULL)
		return throw_errno(env, "openNamespace", -ENOMEM);
	napi_get_value_string_utf8(env, arguments[0], path, length + 1, &length);
	struct namespace_id id;
	int error = strlen(path) == length ? namespace_open(path, &id) : -EINVAL;
	free(path);
	if (error < 0)
		return throw_errno(env, "openNamespace", error);
	napi_create_object(env, &result);
	set_number(env, result, "fd", id.fd);
	set_number(env, result, "device", (double)id.device);
	set_number(env, result, "inode", (double)id.inode);
	return result;
}

static napi_value close_fd(napi_env env, napi_callback_info info)
{
	napi_value arguments[1];
	int32_t fd;
	if (!get_arguments(env, info, 1, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "closeFd(fd)");
	if (close(fd) < 0)
		return throw_errno(env, "closeFd", -errno);
	return NULL;
}

static napi_value open_socket(napi_env env, napi_callback_info info)
{
	napi_value arguments[3], result;
	int32_t protocol, namespace_fd;
	uint32_t count, groups[32];
	if (!get_arguments(env, info, 3, arguments) ||
	    napi_get_value_int32(env, arguments[0], &protocol) != napi_ok ||
	    napi_get_value_int32(env, arguments[1], &namespace_fd) != napi_ok ||
	    napi_get_array_length(env, arguments[2], &count) != napi_ok || count > sizeof(groups) / sizeof(*groups))
		return throw_type(env, "openSocket(protocol, namespaceFd, groups)");
	for (uint32_t i = 0; i < count; i++) {
		napi_value group;
		if (napi_get_element(env, arguments[2], i, &group) != napi_ok ||
		    napi_get_value_uint32(env, group, &groups[i]) != napi_ok)
			return throw_type(env, "openSocket: groups are numbers");
	}
	struct netlink_socket opened;
	int error = netlink_open(namespace_fd, protocol, groups, count, &opened);
	if (error < 0)
		return throw_errno(env, "openSocket", error);
	napi_create_object(env, &result);
	set_number(env, result, "fd", opened.fd);
	set_number(env, result, "portId", opened.port_id);
	return result;
}

static void free_bytes(napi_env env, void *bytes, void *hint)
{
	(void)env;
	(void)hint;
	free(bytes);
}

/* Hands the bytes over to JavaScript without a copy. */
static napi_value give_bytes(napi_env env, void *bytes, size_t length)
{
	napi_value buffer;
	if (bytes == NULL || length == 0) {
		free(bytes);
		napi_create_buffer(env, 0, NULL, &buffer);
	} else if (napi_create_external_buffer(env, length, bytes, free_bytes, NULL, &buffer) != napi_ok) {
		napi_create_buffer_copy(env, length, bytes, NULL, &buffer);
		free(bytes);
	}
	return buffer;
}

static napi_value reply_object(napi_env env, struct reply *reply, uint32_t first_sequence)
{
	napi_value result, interrupted;
	napi_create_object(env, &result);
	napi_set_named_property(env, result, "replies", give_bytes(env, reply->bytes, reply->length));
	napi_get_boolean(env, reply->interrupted, &interrupted);
	napi_set_named_property(env, result, "interrupted", interrupted);
	set_number(env, result, "firstSequence", first_sequence);
	return result;
}

static napi_value transact(napi_env env, napi_callback_info info)
{
	napi_value arguments[2];
	int32_t fd;
	uint8_t *messages;
	size_t length;
	if (!get_arguments(env, info, 2, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
	    napi_get_buffer_info(env, arguments[1], (void **)&messages, &length) != napi_ok)
		return throw_type(env, "transact(fd, messages)");
	struct reply reply;
	uint32_t first_sequence;
	int error = netlink_transact(fd, messages, length, &first_sequence, &reply);
	if (error < 0)
		return throw_errno(env, "netlink", error);
	return reply_object(env, &reply, first_sequence);
}

/* transact on a thread of the pool */

struct job {
	napi_async_work work;
	napi_deferred deferred;
	int fd;
	uint8_t *messages;
	size_t length;
	uint32_t first_sequence;
	struct reply reply;
	int error;
};

static void job_run(napi_env env, void *data)
{
	(void)env;
	struct job *job = data;
	job->error = netlink_transact(job->fd, job->messages, job->length, &job->first_sequence, &job->reply);
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

static napi_value transact_async(napi_env env, napi_callback_info info)
{
	napi_value arguments[2], promise, name;
	int32_t fd;
	uint8_t *messages;
	size_t length;
	if (!get_arguments(env, info, 2, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
	    napi_get_buffer_info(env, arguments[1], (void **)&messages, &length) != napi_ok)
		return throw_type(env, "transactAsync(fd, messages)");
	struct job *job = calloc(1, sizeof(*job));
	uint8_t *copy = malloc(length == 0 ? 1 : length);
	if (job == NULL || copy == NULL) {
		free(job);
		free(copy);
		return throw_errno(env, "transactAsync", -ENOMEM);
	}
	memcpy(copy, messages, length);
	*job = (struct job){ .fd = fd, .messages = copy, .length = length };
	napi_create_promise(env, &job->deferred, &promise);
	napi_create_string_utf8(env, "netlink", NAPI_AUTO_LENGTH, &name);
	napi_create_async_work(env, NULL, name, job_run, job_done, job, &job->work);
	napi_queue_async_work(env, job->work);
	return promise;
}

/* notifications */

struct notification {
	uint8_t *bytes; /* NULL: some were lost */
	size_t length;
};

struct subscription {
	struct watch *watch;
	napi_threadsafe_function function;
};

static void notify(napi_env env, napi_value callback, void *context, void *data)
{
	(void)context;
	struct notification *notification = data;
	if (env == NULL) {
		free(notification->bytes);
	} else {
		napi_value undefined, argument;
		napi_get_undefined(env, &undefined);
		if (notification->bytes == NULL)
			napi_get_null(env, &argument);
		else
			argument = give_bytes(env, notification->bytes, notification->length);
		napi_call_function(env, undefined, callback, 1, &argument, NULL);
	}
	free(notification);
}

static void queue_notification(void *context, uint8_t *bytes, size_t length)
{
	struct subscription *subscription = context;
	struct notification *notification = malloc(sizeof(*notification));
	if (notification != NULL) {
		*notification = (struct notification){ .bytes = bytes, .length = length };
		if (napi_call_threadsafe_function(subscription->function, notification, napi_tsfn_nonblocking) == napi_ok)
			return;
	}
	free(notification);
	free(bytes);
}

static void end_subscription(struct subscription *subscription)
{
	if (subscription->watch == NULL)
		return;
	watch_stop(subscription->watch);
	subscription->watch = NULL;
	napi_release_threadsafe_function(subscription->function, napi_tsfn_abort);
}

static napi_value stop_watching(napi_env env, napi_callback_info info)
{
	struct subscription *subscription;
	napi_get_cb_info(env, info, NULL, NULL, NULL, (void **)&subscription);
	end_subscription(subscription);
	return NULL;
}

static void free_subscription(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	end_subscription(data);
	free(data);
}

static napi_value watch(napi_env env, napi_callback_info info)
{
	napi_value arguments[2], stop, name;
	int32_t fd;
	if (!get_arguments(env, info, 2, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "watch(fd, callback)");
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	if (subscription == NULL)
		return throw_errno(env, "watch", -ENOMEM);
	napi_create_string_utf8(env, "netlink notifications", NAPI_AUTO_LENGTH, &name);
	if (napi_create_threadsafe_function(env, arguments[1], NULL, name, 0, 1, NULL, NULL, NULL, notify,
					    &subscription->function) != napi_ok) {
		free(subscription);
		return throw_type(env, "watch: the second argument is a function");
	}
	/* Watching alone keeps no process alive. */
	napi_unref_threadsafe_function(env, subscription->function);
	int error = watch_start(fd, queue_notification, subscription, &subscription->watch);
	if (error < 0) {
		napi_release_threadsafe_function(subscription->function, napi_tsfn_abort);
		free(subscription);
		return throw_errno(env, "watch", error);
	}
	napi_create_function(env, "stop", NAPI_AUTO_LENGTH, stop_watching, subscription, &stop);
	napi_add_finalizer(env, stop, subscription, free_subscription, NULL, NULL);
	return stop;
}

static napi_value peer_credentials(napi_env env, napi_callback_info info)
{
	napi_value arguments[1], result;
	int32_t fd;
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	if (!get_arguments(env, info, 1, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "peerCredentials(fd)");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return throw_errno(env, "peerCredentials", -errno);
	napi_create_object(env, &result);
	set_number(env, result, "pid", credentials.pid);
	set_number(env, result, "uid", credentials.uid);
	set_number(env, result, "gid", credentials.gid);
	return result;
}

static const struct {
	const char *name;
	napi_callback function;
} FUNCTIONS[] = {
	{ "openNamespace", open_namespace }, { "closeFd", close_fd },
	{ "openSocket", open_socket },	     { "transact", transact },
	{ "transactAsync", transact_async }, { "watch", watch },
	{ "peerCredentials", peer_credentials },
};

NAPI_MODULE_INIT()
{
	for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(*FUNCTIONS); i++) {
		napi_value function;
		napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].function, NULL, &function);
		napi_set_named_property(env, exports, FUNCTIONS[i].name, function);
	}
	return exports;
}
