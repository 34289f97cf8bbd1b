/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A control server that answers from files, for tests of the programs that ask it: fake-bootsvc SOCKET DIR.
 *
 * DIR/VERB.json has {"events": […], "data": …, "failed": N} or {"error": "…", "errors": […]}; with "hold": true no answer follows the events. A string "ago:MS" becomes the time so many
 * milliseconds before the server started, "base64:TEXT" the text in base64. Requests are kept in DIR/requests, a line each. Writes a line when it
 * serves; "stop" ends it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libssi/base/base64.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/comm/control-server.h"

static const char *dir;
static uint64_t start;

/* What a string stands for, or NULL when for itself. */
static json_t *expand_string(const char *s)
{
	uint64_t ms;

	if (strncmp(s, "ago:", 4) == 0 && ssi_num_u64(s + 4, 0, INT64_MAX, &ms) >= 0)
		return json_integer((json_int_t)(start - ms));
	if (strncmp(s, "base64:", 7) == 0) {
		_cleanup_free_ char *text = ssi_base64_encode(s + 7, strlen(s + 7));

		return json_string(text);
	}
	return NULL;
}

static void expand(json_t *j)
{
	const char *key;
	json_t *v;
	size_t i;
	void *tmp;

	json_object_foreach_safe(j, tmp, key, v) {
		json_t *x = json_is_string(v) ? expand_string(json_string_value(v)) : NULL;

		if (x)
			json_object_set_new(j, key, x);
		else
			expand(v);
	}
	json_array_foreach(j, i, v)
		expand(v);
}

static void keep_request(const char *verb, const json_t *args)
{
	_cleanup_free_ char *path = NULL, *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_fclose_ FILE *f = asprintf(&path, "%s/requests", dir) < 0 ? NULL : fopen(path, "ae");

	if (f)
		fprintf(f, "%s %s\n", verb, text);
}

static int answer(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	const char *verb = userdata;
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_json_ json_t *j = NULL;
	json_t *ev;
	size_t i;

	keep_request(verb, args);
	if (asprintf(&path, "%s/%s.json", dir, verb) < 0 || ssi_file_read(path, 1 << 24, &text, NULL) < 0)
		return ssi_errf(e, -ENOENT, "%s.json is not there", verb);
	j = json_loads(text, 0, NULL);
	if (!j)
		return ssi_errf(e, -EBADMSG, "%s.json is no JSON", verb);
	expand(j);
	json_array_foreach(json_object_get(j, "events"), i, ev)
		ssi_control_event(q, json_incref(ev));
	if (json_is_true(json_object_get(j, "hold")))
		return 0;
	if (json_object_get(j, "error")) {
		ssi_errf(e, -EINVAL, "%s", ssi_json_str(j, "error"));
		ssi_control_fail(q, e, json_incref(json_object_get(j, "errors")), NULL);
	} else if (ssi_json_int(j, "failed")) {
		ssi_control_partial(q, json_incref(json_object_get(j, "data")), (size_t)ssi_json_int(j, "failed"));
	} else {
		ssi_control_ok(q, json_incref(json_object_get(j, "data")));
	}
	return 0;
}

static int stop(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	keep_request("stop", args);
	ssi_control_ok(q, NULL);
	return sd_event_exit(userdata, 0) < 0 ? -EIO : 0;
}

int main(int argc, char **argv)
{
	struct ssi_control_server *s = NULL;
	sd_event *event = NULL;
	struct ssi_err e;

	if (argc != 3) {
		fprintf(stderr, "usage: fake-bootsvc SOCKET DIR\n");
		return 2;
	}
	dir = argv[2];
	start = ssi_clock_wall_ms();
	if (sd_event_new(&event) < 0 || ssi_control_listen(event, argv[1], &s, &e) < 0) {
		fprintf(stderr, "fake-bootsvc: %s\n", e.text);
		return 1;
	}
	for (const struct ssi_control_spec *k = ssi_control_specs; k->verb; k++)
		ssi_control_register(s, k->verb, strcmp(k->verb, "stop") == 0 ? stop : answer, strcmp(k->verb, "stop") == 0 ? (void *)event : (void *)k->verb);
	printf("serving\n");
	fflush(stdout);
	sd_event_loop(event);
	ssi_control_server_free(s);
	sd_event_unref(event);
	return 0;
}
