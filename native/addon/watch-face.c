#define _GNU_SOURCE
#include "face.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What may wait for the event loop; beyond it notifications count as lost, and memory stays bounded. */
enum { QUEUE = 1024 };

struct notification {
	uint8_t *bytes; /* NULL: some were lost */
	size_t length;  /* without bytes: 0, or the errno that ended the watch */
};

struct subscription {
	struct watch *watch; /* NULL when stopped */
	napi_threadsafe_function function;
};

/* On the event loop; without an environment only to free what was still queued. */
static void notify(napi_env env, napi_value callback, void *context, void *data)
{
	(void)context;
	struct notification *notification = data;
	if (env == NULL) {
		free(notification->bytes);
	} else {
		napi_value undefined, arguments[2];
		size_t count = 1;
		bool thrown;
		napi_get_undefined(env, &undefined);
		if (notification->bytes != NULL) {
			arguments[0] = give_bytes(env, notification->bytes, notification->length);
		} else {
			napi_get_null(env, &arguments[0]);
			if (notification->length > 0) {
				const char *name = strerrorname_np((int)notification->length);
				napi_create_string_utf8(env, name == NULL ? "EUNKNOWN" : name, NAPI_AUTO_LENGTH,
							&arguments[1]);
				count = 2;
			}
		}
		napi_call_function(env, undefined, callback, count, arguments, NULL);
		/* Node.js would only print a warning about an exception here. */
		if (napi_is_exception_pending(env, &thrown) == napi_ok && thrown) {
			napi_value exception;
			napi_get_and_clear_last_exception(env, &exception);
			napi_fatal_exception(env, exception);
		}
	}
	free(notification);
}

static bool queue_notification(void *context, uint8_t *bytes, size_t length)
{
	struct subscription *subscription = context;
	struct notification *notification = malloc(sizeof(*notification));
	if (notification == NULL)
		return false;
	*notification = (struct notification){ .bytes = bytes, .length = length };
	if (napi_call_threadsafe_function(subscription->function, notification, napi_tsfn_nonblocking) == napi_ok)
		return true;
	free(notification);
	return false;
}

static void end_subscription(void *data)
{
	struct subscription *subscription = data;
	if (subscription->watch == NULL)
		return;
	/* The thread first: it must not call a function that is being torn down. */
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
	(void)hint;
	napi_remove_env_cleanup_hook(env, end_subscription, data);
	end_subscription(data);
	free(data);
}

napi_value watch(napi_env env, napi_callback_info info)
{
	napi_value arguments[2], stop, name;
	int32_t fd;
	if (!get_arguments(env, info, 2, arguments) || napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return throw_type(env, "watch(fd, callback)");
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	if (subscription == NULL)
		return throw_errno(env, "watch", -ENOMEM);
	napi_create_string_utf8(env, "netlink notifications", NAPI_AUTO_LENGTH, &name);
	if (napi_create_threadsafe_function(env, arguments[1], NULL, name, QUEUE, 1, NULL, NULL, NULL, notify,
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
	/* Hooks run in reverse order: this one before the function's own. */
	napi_add_env_cleanup_hook(env, end_subscription, subscription);
	napi_create_function(env, "stop", NAPI_AUTO_LENGTH, stop_watching, subscription, &stop);
	napi_add_finalizer(env, stop, subscription, free_subscription, NULL, NULL);
	return stop;
}
