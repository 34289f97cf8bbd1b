/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line of a control request: whatever comes, the verb is of the table and the arguments are what it says. */
#include <stdint.h>
#include <string.h>

#include "libssi/comm/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ssi_control_spec *spec = NULL;
	_cleanup_json_ json_t *args = NULL, *text = NULL;
	_cleanup_free_ char *copy = strndup((const char *)data, size);
	struct ssi_err e = { 0 };

	if (ssi_control_parse((const char *)data, size, &spec, &args, &e) < 0) {
		if (!e.text[0] || spec || args)
			__builtin_trap();
	} else {
		for (const struct ssi_control_arg *a = spec->args; a->name; a++)
			if (a->required && !json_object_get(args, a->name))
				__builtin_trap();
	}
	text = copy ? ssi_control_text(copy) : NULL;
	if (copy && !text)
		__builtin_trap();
	return 0;
}
