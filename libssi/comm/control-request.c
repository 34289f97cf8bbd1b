/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may be asked of the daemon: the one table of verbs and their arguments, and the check of a request against it. Pure.
 * The server calls it for each line. It does not know what a range or a MAC looks like: the handlers do.
 */
#include "libssi/comm/control.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "libssi/base/buf.h"
#include "libssi/base/utf8.h"
#include "libssi/base/words.h"

const struct ssi_control_spec ssi_control_specs[] = {
	{ .verb = "status" },
	{ "node.list", { { "range", SSI_CONTROL_STRING, false }, { "system", SSI_CONTROL_STRING, false } } },
	{ "node.show", { { "range", SSI_CONTROL_STRING, true } } },
	{ "node.set", { { "range", SSI_CONTROL_STRING, true }, { "set", SSI_CONTROL_STRING_MAP, true } } },
	{ "node.power", { { "range", SSI_CONTROL_STRING, true }, { "action", SSI_CONTROL_STRING, true } } },
	{ "node.reboot", { { "range", SSI_CONTROL_STRING, true } } },
	{ "node.drain", { { "range", SSI_CONTROL_STRING, true } } },
	{ "node.detach", { { "range", SSI_CONTROL_STRING, true } } },
	{ "node.fence", { { "range", SSI_CONTROL_STRING, true }, { "confirm", SSI_CONTROL_BOOL, false } } },
	{ "node.accept", { { "range", SSI_CONTROL_STRING, true } } },
	{ "node.failover", { { "range", SSI_CONTROL_STRING, true } } },
	{ "node.move", { { "range", SSI_CONTROL_STRING, true }, { "machine", SSI_CONTROL_STRING, true } } },
	{ "exec", { { "range", SSI_CONTROL_STRING, true }, { "argv", SSI_CONTROL_STRINGS, true }, { "input", SSI_CONTROL_BOOL, false } } },
	{ "load", { { "range", SSI_CONTROL_STRING, false } } },
	{ .verb = "policy.list" },
	{ "policy.show", { { "name", SSI_CONTROL_STRING, true }, { "system", SSI_CONTROL_STRING, false } } },
	{ "jobs", { { "all", SSI_CONTROL_BOOL, false } } },
	{ "job.show", { { "job", SSI_CONTROL_STRING, true } } },
	{ "job.signal", { { "job", SSI_CONTROL_STRING, true }, { "signal", SSI_CONTROL_INTEGER, true } } },
	{ "node.state.list", { { "range", SSI_CONTROL_STRING, false } } },
	{ "node.state.snapshot", { { "node", SSI_CONTROL_STRING, true }, { "name", SSI_CONTROL_STRING, false } } },
	{ "node.state.restore", { { "node", SSI_CONTROL_STRING, true }, { "name", SSI_CONTROL_STRING, true } } },
	{ "node.state.rm", { { "node", SSI_CONTROL_STRING, true }, { "name", SSI_CONTROL_STRING, false } } },
	{ "node.state.accept", { { "range", SSI_CONTROL_STRING, true }, { "decision", SSI_CONTROL_STRING, true } } },
	{ .verb = "machine.list" },
	{ "machine.accept", { { "mac", SSI_CONTROL_STRING, true } } },
	{ "machine.rm", { { "mac", SSI_CONTROL_STRING, true } } },
	{ "procs", { { "range", SSI_CONTROL_STRING, false } } },
	{ "procs.signal", { { "pid", SSI_CONTROL_INTEGER, true }, { "signal", SSI_CONTROL_INTEGER, true } } },
	{ "procs.nice", { { "pid", SSI_CONTROL_INTEGER, true }, { "nice", SSI_CONTROL_INTEGER, true } } },
	{ "procs.affinity", { { "pid", SSI_CONTROL_INTEGER, true }, { "mask", SSI_CONTROL_STRING, false } } },
	{ .verb = "reload" },
	{ "events", { { "follow", SSI_CONTROL_BOOL, false }, { "since", SSI_CONTROL_INTEGER, false },
		      { "limit", SSI_CONTROL_INTEGER, false }, { "node", SSI_CONTROL_STRING, false } } },
	{ .verb = "stop" },
	{ .verb = NULL }
};

static const char *const type_names[] = {
	[SSI_CONTROL_STRING] = "a string",
	[SSI_CONTROL_INTEGER] = "a number, not negative",
	[SSI_CONTROL_BOOL] = "true or false",
	[SSI_CONTROL_STRINGS] = "a list of strings, not empty",
	[SSI_CONTROL_STRING_MAP] = "an object of strings, not empty",
};

static bool strings_ok(const json_t *v)
{
	size_t i;
	const json_t *s;

	json_array_foreach((json_t *)v, i, s)
		if (!json_is_string(s))
			return false;
	return json_array_size(v) > 0;
}

static bool map_ok(const json_t *v)
{
	const char *key;
	json_t *s;

	json_object_foreach((json_t *)v, key, s)
		if (!*key || !json_is_string(s))
			return false;
	return json_object_size(v) > 0;
}

static bool value_ok(enum ssi_control_type type, const json_t *v)
{
	switch (type) {
	case SSI_CONTROL_STRING:
		return json_is_string(v);
	case SSI_CONTROL_INTEGER:
		return json_is_integer(v) && json_integer_value(v) >= 0;
	case SSI_CONTROL_BOOL:
		return json_is_boolean(v);
	case SSI_CONTROL_STRINGS:
		return json_is_array(v) && strings_ok(v);
	case SSI_CONTROL_STRING_MAP:
		return json_is_object(v) && map_ok(v);
	}
	return false;
}

static const struct ssi_control_arg *arg_find(const struct ssi_control_spec *spec, const char *name)
{
	for (const struct ssi_control_arg *a = spec->args; a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

static int args_check(const struct ssi_control_spec *spec, const json_t *args, struct ssi_err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)args, name, v) {
		const struct ssi_control_arg *a = arg_find(spec, name);

		if (!a)
			return ssi_errf(e, -EINVAL, "%s takes no argument '%.64s'", spec->verb, name);
		if (!value_ok(a->type, v))
			return ssi_errf(e, -EINVAL, "%s: '%s' must be %s", spec->verb, name, type_names[a->type]);
	}
	for (const struct ssi_control_arg *a = spec->args; a->name; a++)
		if (a->required && !json_object_get(args, a->name))
			return ssi_errf(e, -EINVAL, "%s needs '%s'", spec->verb, a->name);
	return 0;
}

bool ssi_control_for_users(const char *verb)
{
	return ssi_words_has("jobs job.show job.signal load procs procs.signal procs.nice procs.affinity policy.list policy.show", verb);
}

static const struct ssi_control_spec *spec_find(const char *verb)
{
	for (const struct ssi_control_spec *s = ssi_control_specs; s->verb; s++)
		if (strcmp(s->verb, verb) == 0)
			return s;
	return NULL;
}

int ssi_control_parse(const char *line, size_t len, const struct ssi_control_spec **ret_spec, json_t **ret_args, struct ssi_err *e)
{
	json_error_t je;
	_cleanup_json_ json_t *request = NULL, *args = NULL;
	const struct ssi_control_spec *spec;
	const char *verb;
	int r;

	if (len > SSI_CONTROL_REQUEST_MAX)
		return ssi_errf(e, -EBADMSG, "a request of more than %u bytes", SSI_CONTROL_REQUEST_MAX);
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(request))
		return ssi_errf(e, -EBADMSG, "not a request: a JSON object on a line is expected");
	verb = json_string_value(json_object_get(request, "verb"));
	if (!verb)
		return ssi_errf(e, -EBADMSG, "not a request: no \"verb\"");
	spec = spec_find(verb);
	if (!spec)
		return ssi_errf(e, -EOPNOTSUPP, "no verb '%.64s'", verb);
	args = json_incref(json_object_get(request, "args"));
	if (!args)
		args = json_object();
	if (!args)
		return ssi_errf(e, -ENOMEM, "out of memory");
	if (!json_is_object(args))
		return ssi_errf(e, -EBADMSG, "%s: \"args\" must be an object", verb);
	r = args_check(spec, args, e);
	if (r < 0)
		return r;
	*ret_spec = spec;
	*ret_args = TAKE_PTR(args);
	return 0;
}

json_t *ssi_control_text(const char *s)
{
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	json_t *j = json_string(s);

	if (j)
		return j;
	while (*s) {
		size_t n = ssi_utf8_len(s, strnlen(s, 4));

		if (n)
			ssi_buf_add(&b, s, n);
		else
			ssi_buf_adds(&b, "\xef\xbf\xbd");
		s += n ? n : 1;
	}
	return b.err || !b.data ? NULL : json_stringn(b.data, b.len);
}
