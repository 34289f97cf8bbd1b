/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy.list, policy.show: which policies there are, and how one of them sees the nodes. */
#include <errno.h>
#include "bootsvc/control.h"
#include "bootsvc/placement.h"

static json_t *entry_json(const struct policies_entry *o)
{
	json_t *j = json_pack("{s:s, s:I, s:s, s:s}", "name", o->name, "version", (json_int_t)o->version, "choose", ssi_policy_choosers[o->policy->choose],
			      "file", o->file ?: "");

	json_object_set_new(j, "help", ssi_control_text(o->policy->help));
	return j;
}

int control_policy_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	json_t *a = json_array();
	const struct policies_entry *o;

	for (size_t i = 0; (o = policies_each(d->policies, i)); i++)
		json_array_append_new(a, entry_json(o));
	ssi_control_ok(q, a);
	return 0;
}

int control_policy_show(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	const char *name = ssi_json_str(args, "name");
	const struct policies_entry *o = policies_get(d->policies, name);
	json_t *j;

	if (!o)
		return ssi_errf(e, -ENOENT, "no policy '%.64s': 'ssi policy list' shows those there are", name);
	j = entry_json(o);
	json_object_set_new(j, "text", ssi_control_text(o->text));
	json_object_set_new(j, "nodes", placement_scores(d, o->policy, json_string_value(json_object_get(args, "system"))));
	ssi_control_ok(q, j);
	return 0;
}
