/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This project's own files in an image. Called by inputs.c (their digest) and step-tree.c (to copy them). The table below is the one
 * place that says what a node and what a master has; libraries come with the recipe's packages.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/path.h"
#include "libssi/base/words.h"
#include "mkimage/copy.h"
#include "mkimage/programs.h"

static const struct {
	const char *what;       /* which images */
	const char *pattern;    /* glob(7) below the root; a folder stands for all in it */
	bool must;
} table[] = {
	{ "node", "usr/sbin/ssi-agent", true },
	{ "node master", PROGRAMS_INIT, true },
	{ "node", PROGRAMS_INIT_HELPERS, false },
	{ "node", "usr/libexec/ssi/node-*", false },
	{ "node", "usr/libexec/ssi/ssi-keeper", false },
	{ "node", "usr/lib/systemd/system/ssi-agent.service", false },
	{ "node master", "usr/bin/ssi", true },
	{ "master", "usr/sbin/ssi-bootsvc", true },
	{ "master", "usr/bin/ssi-mkimage", true },
	{ "master", "usr/lib/systemd/system/ssi-bootsvc.service", false },
	{ "master", "usr/lib/sysusers.d/ssi*.conf", false },
	{ "master", "usr/lib/tmpfiles.d/ssi*.conf", false },
	{ "master", "usr/lib/dracut/modules.d/90ssi", false },
	{ "master", "usr/libexec/ssi/*", false },
	{ "master", "usr/share/ssi", false },
	{ "master", "usr/share/bash-completion/completions/ssi*", false },
};
#define N_TABLE (sizeof(table) / sizeof(*table))

/* A file, or all files below a folder. path is PREFIX/REL, skip the length of "PREFIX/". */
static int add_path(const char *path, size_t skip, struct list *ret)
{
	_cleanup_free_ char *below = NULL;
	struct stat st;
	glob_t g = { 0 };
	int r = 0;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return list_find(ret, path + skip) ? 0 : list_add(ret, path + skip, strlen(path + skip), 0);
	below = ssi_path_join(path, "*");
	if (!below)
		return -ENOMEM;
	if (glob(below, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc && r == 0; i++)
			r = add_path(g.gl_pathv[i], skip, ret);
	globfree(&g);
	return r;
}

static int add_pattern(const char *root, const char *pattern, bool must, struct list *ret, struct ssi_err *e)
{
	_cleanup_free_ char *full = ssi_path_join(root, pattern);
	size_t skip = full ? strlen(full) - strlen(pattern) : 0;
	glob_t g = { 0 };
	int r = 0;

	if (!full)
		return ssi_errno(e, -ENOMEM, "%s", pattern);
	if (glob(full, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc && r == 0; i++)
			r = add_path(g.gl_pathv[i], skip, ret);
		if (r < 0)
			ssi_errno(e, r, "%s", full);
	} else if (must) {
		r = ssi_errf(e, -ENOENT, "there is no %s: install this project, or say --programs DIR for where it is", full);
	}
	globfree(&g);
	return r;
}

int programs_find(const char *root, const char *what, struct list *ret, struct ssi_err *e)
{
	_cleanup_list_ struct list found = { 0 };
	int r = 0;

	for (size_t i = 0; i < N_TABLE && r == 0; i++)
		if (ssi_words_has(table[i].what, what))
			r = add_pattern(root, table[i].pattern, table[i].must, &found, e);
	if (r < 0)
		return r;
	list_sort(&found);
	*ret = found;
	found = (struct list){ 0 };
	return 0;
}

int programs_copy(const char *root, const struct list *files, const char *tree, struct ssi_err *e)
{
	_cleanup_close_ int at = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = at < 0 ? ssi_errno(e, -errno, "%s", tree) : 0;

	for (size_t i = 0; i < files->n && r == 0; i++) {
		_cleanup_free_ char *from = ssi_path_join(root, files->words[i].text);

		r = from ? copy_into(at, files->words[i].text, from, e) : ssi_errno(e, -ENOMEM, "%s", files->words[i].text);
	}
	return r;
}
