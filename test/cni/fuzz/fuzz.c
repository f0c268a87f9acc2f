/* Any bytes into the plugin's two parsers: the scanner of configurations and the reader of replies. */
#include "cni.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "agentSocket", "stateDirectory", "cniVersion", "name", "" };
	/* A copy of exactly this size: one byte read beyond it is caught. */
	char *input = malloc(size == 0 ? 1 : size);
	memcpy(input, data, size);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char *value = json_top_level_text(input, size, keys[i]);
		if (value != NULL) {
			struct bytes escaped = { 0 };
			if (strlen(value) > size || !json_append_escaped(&escaped, value) || escaped.length < strlen(value))
				abort();
			bytes_free(&escaped);
		}
		free(value);
	}
	uint32_t exit_code;
	size_t offset, length;
	if (call_decode((const uint8_t *)input, size, &exit_code, &offset, &length) && offset + length != size)
		abort();
	free(input);
	return 0;
}
