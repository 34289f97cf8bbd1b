/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes a kernel's uevent apart. Called by the agent. udev's own messages, which have another head, are refused. */
#include <errno.h>
#include <string.h>
#include "libssi/model/uevent.h"

/* The value if text is KEY=value, else NULL. */
static const char *uevent_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	return !strncmp(text, key, n) && text[n] == '=' ? text + n + 1 : NULL;
}

int ssi_uevent_parse(const char *p, size_t n, struct ssi_uevent *ret)
{
	struct ssi_uevent u = { "", "", "", "" };
	const struct { const char *key, **to; } keys[] = {
		{ "ACTION", &u.action }, { "DEVPATH", &u.devpath }, { "SUBSYSTEM", &u.subsystem }, { "MODALIAS", &u.modalias },
	};
	const char *at = p, *end = p + n;

	if (!n || end[-1] != '\0' || !strchr(p, '@'))
		return -EBADMSG;
	for (at += strlen(at) + 1; at < end; at += strlen(at) + 1)
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
			const char *value = uevent_value(at, keys[i].key);

			if (value)
				*keys[i].to = value;
		}
	if (!*u.action || *u.devpath != '/')
		return -EBADMSG;
	*ret = u;
	return 0;
}
