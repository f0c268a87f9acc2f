/* fairlead-cni: carries a CNI call to the agent and its answer back. It decides only what to say without an agent. */
#ifndef FAIRLEAD_CNI_H
#define FAIRLEAD_CNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEWEST_CNI_VERSION "1.1.0"
#define CNI_VERSIONS "0.3.1", "0.4.0", "1.0.0", NEWEST_CNI_VERSION

/* The codes of the CNI specification that the plugin gives by itself. */
enum cni_code {
	INVALID_ENVIRONMENT = 4,
	IO_FAILURE = 5,
	UNDECODABLE = 6,
	INVALID_CONFIGURATION = 7,
	TRY_AGAIN = 11,
	NOT_AVAILABLE = 50
};

/* A growing run of bytes. */
struct bytes {
	uint8_t *data;
	size_t length;
	size_t capacity;
};

/* bytes.c */

bool bytes_append(struct bytes *bytes, const void *data, size_t length);
bool bytes_append_text(struct bytes *bytes, const char *text);
bool bytes_append_u32(struct bytes *bytes, uint32_t value); /* big-endian */
void bytes_free(struct bytes *bytes);
bool write_all(int fd, const void *data, size_t length);

/* json.c */

/*
 * Copies the text value of a key of the outermost object, as UTF-8 without escapes, or NULL: no such key, no text, or
 * no object at all. The input may be anything; what is wrong with it is the agent's to say.
 */
char *json_top_level_text(const char *input, size_t length, const char *key);
bool json_append_escaped(struct bytes *out, const char *text);

/* error.c */

/*
 * Prints an error as the specification wants it. version: as the configuration states it, or NULL; subject: what the
 * message ends with. Returns the exit status.
 */
int print_error(const char *version, enum cni_code code, const char *message, const char *subject);

/* call.c */

enum {
	ENVIRONMENT_LIMIT = 64 * 1024,
	STDIN_LIMIT = 1024 * 1024,
	REPLY_LIMIT = 2 * 1024 * 1024,
	SOCKET_PATH_LIMIT = 107,
	CONNECT_MS = 900,
};

enum encode_outcome { ENCODED, ENVIRONMENT_TOO_LARGE, OUT_OF_MEMORY };

/* What src/edge/cni/frame.ts calls a request. */
enum encode_outcome call_encode(struct bytes *frame, char *const *environment, const struct bytes *input);

enum call_outcome {
	CALL_ANSWERED,
	CALL_NO_AGENT, /* nobody took the call */
	CALL_ENDED,    /* somebody took it and went away */
	CALL_TIMED_OUT /* somebody took it and is silent */
};

struct reply {
	uint32_t exit_code;
	struct bytes text;
	int error; /* errno, where nobody took the call */
};

/* connect_ms: how long to wait while too many others wait for the agent. */
enum call_outcome call_agent(const char *socket_path, const struct bytes *frame, int connect_ms, struct reply *reply);

/* Whether the bytes are a whole reply; sets offset and length of its text. Anything else is no reply. */
bool call_decode(const uint8_t *bytes, size_t length, uint32_t *exit_code, size_t *text_offset, size_t *text_length);

/* pending.c */

/* Keeps the request for the agent's next start: 0 or -errno. A second one for the same attachment replaces the first. */
int pending_save(const char *state_directory, const char *identity, const struct bytes *frame);

/* What is kept for this attachment, if anything, is settled. */
void pending_forget(const char *state_directory, const char *identity);

#endif
