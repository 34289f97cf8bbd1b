/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs of the daemon's control socket (procs.*, doc/control.md). The daemon judges by who connects: so that is who asks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/path.h"
#include "libssi/comm/control.h"
#include "ssi/view/act.h"

#define PATIENCE_MS 10000

/* Connected as the caller. The daemon's own folder is that above dir. */
static int dial(const char *dir, const struct act_caller *c, struct ssi_control **ret)
{
	/* The one for all, where nobody can take so much that others have none: by the group of this process, root's, the other one might be open too. */
	_cleanup_free_ char *path = ssi_path_join(dir, c->uid ? "../" SSI_CONTROL_USERS : "../bootsvc.sock");
	int r;

	if (!path)
		return -ENOMEM;
	if (seteuid(c->uid) < 0)
		return -EPERM;
	r = ssi_control_open(path, ret, NULL);
	if (seteuid(0) < 0)
		_exit(1);
	return r < 0 ? -EHOSTDOWN : 0;
}

/* args is taken. *ret_answer may be NULL. */
static int call(const char *dir, const struct act_caller *c, const char *verb, json_t *args, json_t **ret_answer)
{
	_cleanup_control_ struct ssi_control *control = NULL;
	_cleanup_json_ json_t *asked = args, *answer = NULL;
	json_int_t number;
	int r = asked ? dial(dir, c, &control) : -ENOMEM;

	if (r == 0)
		r = ssi_control_call(control, verb, asked, PATIENCE_MS, NULL, NULL, &answer, NULL);
	if (r == 1) {
		number = ssi_json_int(json_object_get(answer, "data"), "errno");
		return number > 0 && number < 4096 ? -(int)number : -EIO;
	}
	if (r == 0 && ret_answer)
		*ret_answer = TAKE_PTR(answer);
	return r < 0 ? -EHOSTDOWN : 0;
}

int act_signal(const char *dir, const struct act_caller *c, uint32_t pid, int sig)
{
	return call(dir, c, "procs.signal", json_pack("{s:I, s:i}", "pid", (json_int_t)pid, "signal", sig), NULL);
}

int act_nice(const char *dir, const struct act_caller *c, uint32_t pid, int nice)
{
	return call(dir, c, "procs.nice", json_pack("{s:I, s:i}", "pid", (json_int_t)pid, "nice", nice + 20), NULL);
}

int act_set_affinity(const char *dir, const struct act_caller *c, uint32_t pid, const uint64_t *mask)
{
	char text[16 * ACT_MASK + 1];

	for (int i = 0; i < ACT_MASK; i++)
		snprintf(text + (size_t)i * 16, 17, "%016" PRIx64, mask[ACT_MASK - 1 - i]);
	return call(dir, c, "procs.affinity", json_pack("{s:I, s:s}", "pid", (json_int_t)pid, "mask", text), NULL);
}

int act_get_affinity(const char *dir, const struct act_caller *c, uint32_t pid, uint64_t *ret_mask)
{
	_cleanup_json_ json_t *answer = NULL;
	const char *text;
	size_t len;
	int r = call(dir, c, "procs.affinity", json_pack("{s:I}", "pid", (json_int_t)pid), &answer);

	if (r < 0)
		return r;
	text = ssi_json_str(json_object_get(answer, "data"), "mask");
	len = strlen(text);
	if (!len || len > 16 * ACT_MASK || strspn(text, "0123456789abcdef") != len)
		return -EIO;
	memset(ret_mask, 0, ACT_MASK * sizeof(*ret_mask));
	for (size_t i = 0; i < len; i++)
		ret_mask[i / 16] |= (uint64_t)strtoul((char[]){ text[len - 1 - i], '\0' }, NULL, 16) << i % 16 * 4;
	return 0;
}
