/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP answer, in the pieces it may come in: what is taken of the whole is not taken of less, and lies within it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "ssi-init/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head h = { 0 }, again;
	int r = http_parse_head((const char *)data, size, &h);

	if (r < 0)
		return 0;
	if ((size_t)r > size || r > HTTP_HEAD_MAX || h.status < 100 || h.status > 599 || h.length > INT64_MAX)
		abort();
	if (http_parse_head((const char *)data, (size_t)r, &again) != r || again.status != h.status || again.length != h.length)
		abort();
	if (r > 0 && http_parse_head((const char *)data, (size_t)r - 1, &again) != -EAGAIN)
		abort();
	return 0;
}
