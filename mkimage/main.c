/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-mkimage: from a recipe to a generation in the image store. This file is the table of verbs; each is a file of its own. */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "mkimage/verbs.h"

static const struct ssi_cmd cmds[] = {
	{ "build", "RECIPE", 1, 1, verb_build, "Build an image and make it the current generation", verb_build_opts, "@file", 0 },
	{ "list", "[IMAGE...]", 0, -1, verb_list, "List generations: when built, how large, which is current or in use", NULL, "@image", 0 },
	{ "show", "IMAGE[/GENERATION]...", 1, -1, verb_show, "Show what a generation is made of", NULL, "@image", 0 },
	{ "verify", "[IMAGE[/GENERATION]...]", 0, -1, verb_verify, "Hold files against their manifest and verity tree", NULL, "@image", 0 },
	{ "rm", "IMAGE/GENERATION...", 1, -1, verb_rm, "Remove generations that nobody uses", verb_rm_opts, "@image", 0 },
	{ 0 },
};

static const struct ssi_opt opts[] = {
	{ "store", 0, "DIR", "images (" SSI_STATEDIR "/images; of a user: ~/.local/share/ssi/images)", "@dir" },
	{ "cache", 0, "DIR", "results of steps (" SSI_CACHEDIR "/mkimage; of a user: ~/.cache/ssi/mkimage)", "@dir" },
	SSI_OPT_OUTPUT,
	{ 0 },
};

static const struct ssi_program program = { "ssi-mkimage", "builds the operating-system images that machines boot", cmds, opts };

/* An ordinary user's place: $XDG/..., or below the home folder. */
static const char *of_user(const char *variable, const char *below_home, const char *rest)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	_cleanup_free_ char *made = NULL;

	if (base && *base == '/')
		return ssi_path_join(base, rest);
	if (!home || *home != '/') {
		log_error("there is no HOME: say --store and --cache");
		return NULL;
	}
	made = ssi_path_join(home, below_home);
	return made ? ssi_path_join(made, rest) : NULL;
}

/* Tools run elsewhere than here: what they are given must not depend on it. */
static const char *absolute(const char *path)
{
	_cleanup_free_ char *here = NULL;

	if (*path == '/')
		return path;
	here = getcwd(NULL, 0);
	if (!here)
		log_error("%s: there is no folder to start from (%m): say it from '/' on", path);
	return here ? ssi_path_join(here, path) : NULL;
}

static const char *place(const struct ssi_cmd_args *a, const char *name, const char *of_root, const char *variable, const char *below_home, const char *rest)
{
	static const char *known[2];
	const char **k = &known[*name == 's'], *given = ssi_cmd_opt(a, name);

	if (!*k)
		*k = given ? absolute(given) : geteuid() == 0 ? of_root : of_user(variable, below_home, rest);
	return *k;
}

const char *verb_store(const struct ssi_cmd_args *a)
{
	return place(a, "store", SSI_STATEDIR "/images", "XDG_DATA_HOME", ".local/share", "ssi/images");
}

const char *verb_cache(const struct ssi_cmd_args *a)
{
	return place(a, "cache", SSI_CACHEDIR "/mkimage", "XDG_CACHE_HOME", ".cache", "ssi/mkimage");
}

int verb_fail(const struct ssi_err *e)
{
	log_error("%s", e->text);
	return 1;
}

int main(int argc, char **argv)
{
	ssi_log_open("ssi-mkimage", LOG_INFO);
	return ssi_cmd_main(&program, argc, argv);
}
