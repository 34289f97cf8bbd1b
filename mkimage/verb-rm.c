/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-mkimage rm: remove generations. One that is in use stays, whatever the options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "mkimage/result.h"
#include "mkimage/store.h"
#include "mkimage/verbs.h"

const struct ssi_opt verb_rm_opts[] = {
	{ "force", 'f', NULL, "the current generation, too", NULL },
	{ 0 },
};

static int remove_one(const struct ssi_cmd_args *a, const char *name, json_t *array)
{
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	struct ssi_err e;
	int r;

	if (!strchr(name, '/')) {
		ssi_errf(&e, -EINVAL, "'%s': say which generation: %s/sha256-PREFIX or %s/previous", name, name, name);
		return verb_fail(&e);
	}
	r = store_find(verb_store(a), name, &g, &e);
	if (r == 0)
		r = store_remove(verb_store(a), &g.all[0], ssi_cmd_opt(a, "force"), &e);
	if (r < 0) {
		if (g.n)
			ssi_err_prefix(&e, "%s/%s", g.all[0].image, g.all[0].id);
		return verb_fail(&e);
	}
	json_array_append_new(array, json_pack("{s:s, s:s}", "image", g.all[0].image, "generation", g.all[0].id));
	if (!ssi_cmd_json(a))
		printf("%s/%s removed\n", g.all[0].image, g.all[0].id);
	return 0;
}

int verb_rm(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *array = json_array();
	int status = 0;

	if (!verb_store(a))
		return 1;
	for (int i = 0; i < argc; i++)
		status |= remove_one(a, argv[i], array);
	if (ssi_cmd_json(a)) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return status;
}
