/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Small things about jansson's values that its users here share. */
#include <jansson.h>
#include "libssi/base/cleanup.h"

static inline void ssi_json_decrefp(json_t **j) { json_decref(*j); }
#define _cleanup_json_ SSI_CLEANUP(ssi_json_decrefp)

/* A member of an object (or of NULL): its text, "" when there is none; its number, 0 when there is none. Borrowed. */
static inline const char *ssi_json_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static inline json_int_t ssi_json_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}
