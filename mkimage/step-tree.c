/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps that make the tree what the recipe wants: unpack, programs, overlay, services, modules, clean. They run as root, or as root
 * of a user namespace. Only systemctl runs from the tree itself, in a chroot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/path.h"
#include "mkimage/build.h"
#include "mkimage/copy.h"
#include "mkimage/programs.h"
#include "mkimage/result.h"
#include "mkimage/tree.h"

/* Everything that says when, where or in what order the tree was made, and what a running system makes anew. */
static const char *const always_removed[] = {
	"run/*", "tmp/*", "var/tmp/*", "dev/*", "var/lib/apt/lists/*", "var/cache/apt/*", "var/cache/debconf/*-old", "var/cache/ldconfig/*",
	"var/log/*", "var/lib/dpkg/*-old", "var/lib/systemd/random-seed", "var/lib/systemd/catalog/*", "etc/*-", "etc/.pwd.lock",
	"etc/ssh/ssh_host_*", "root/.bash_history", "boot/initrd.img*", "initrd.img", "initrd.img.old",
};
#define N_ALWAYS (sizeof(always_removed) / sizeof(*always_removed))
/* mmdebstrap leaves the host's here; a tree of the user's own keeps its. */
static const char *const bootstrap_removed[] = { "etc/resolv.conf", "etc/hostname" };

static int unpack_tarball(struct build *b, struct ssi_err *e)
{
	_cleanup_free_ char *dir = result_path(b->cache, RESULT_BOOTSTRAP, b->plan->bootstrap);
	_cleanup_free_ char *tar = dir ? ssi_path_join(dir, "tree.tar.zst") : NULL;
	char *argv[] = { (char *)"tar", (char *)"--extract", (char *)"--file", tar, (char *)"--directory", b->tree, (char *)"--numeric-owner",
			 (char *)"--preserve-permissions", (char *)"--xattrs", (char *)"--xattrs-include=*", (char *)"--exclude=./dev/*", NULL };

	if (!tar)
		return ssi_errno(e, -ENOMEM, "unpack");
	return build_tool(b, argv, NULL, -1, "unpack", e);
}

static int copy_directory(struct build *b, struct ssi_err *e)
{
	_cleanup_free_ char *path = recipe_path(b->recipe, b->recipe->path);
	_cleanup_free_ char *from = path ? ssi_path_join(path, ".") : NULL;
	char *argv[] = { (char *)"cp", (char *)"--archive", (char *)"--reflink=auto", from, b->tree, NULL };

	if (!from)
		return ssi_errno(e, -ENOMEM, "unpack");
	return build_tool(b, argv, NULL, -1, "unpack", e);
}

/* The time that no file of the image passes: as told, or that of the newest file which came with the source. */
static int find_epoch(struct build *b, struct ssi_err *e)
{
	json_t *result = NULL;
	int64_t began = 0;
	int r = 0;

	if (*b->inputs->epoch) {
		b->epoch = strtoll(b->inputs->epoch, NULL, 10);
		return 0;
	}
	if (b->recipe->source == RECIPE_DEBIAN) {
		r = result_load(b->cache, RESULT_BOOTSTRAP, b->plan->bootstrap, &result, e);
		began = json_integer_value(json_object_get(result, "began"));
		json_decref(result);
	}
	return r < 0 ? r : tree_epoch(b->tree, began, &b->epoch, e);
}

static int remove_all(const char *tree, const char *const *patterns, size_t n, struct ssi_err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = tree_remove(tree, patterns[i], e);
	return r < 0 ? r : 0;
}

int step_unpack(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	int r;

	if (mkdir(b->tree, 0755) < 0)
		return ssi_errno(e, -errno, "%s", b->tree);
	r = b->recipe->source == RECIPE_DEBIAN ? unpack_tarball(b, e) : copy_directory(b, e);
	if (r == 0 && b->recipe->source == RECIPE_DEBIAN)
		r = remove_all(b->tree, bootstrap_removed, 2, e);
	if (r == 0)
		r = tree_kernel(b->tree, b->kernel, sizeof(b->kernel), e);
	return r < 0 ? r : find_epoch(b, e);
}

int step_programs(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	_cleanup_list_ struct list files = { 0 };
	int r = programs_find(b->programs, b->recipe->programs, &files, e);

	return r < 0 ? r : programs_copy(b->programs, &files, b->tree, e);
}

int step_overlay(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	_cleanup_close_ int at = open(b->tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = at < 0 ? ssi_errno(e, -errno, "%s", b->tree) : 0;

	for (size_t i = 0; i < b->recipe->overlays.n && r == 0; i++) {
		_cleanup_free_ char *path = recipe_path(b->recipe, b->recipe->overlays.words[i].text);

		r = path ? copy_into(at, "", path, e) : ssi_errno(e, -ENOMEM, "overlay");
	}
	return r;
}

static int systemctl(struct build *b, const char *verb, const struct list *units, struct ssi_err *e)
{
	static char *const env[] = { (char *)"SYSTEMD_OFFLINE=1", (char *)"LC_ALL=C", (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	struct ssi_err why = { 0 };

	for (size_t i = 0; i < units->n; i++) {
		const struct list_word *w = &units->words[i];
		char *argv[] = { (char *)"chroot", b->tree, (char *)"systemctl", (char *)"--quiet", (char *)verb, w->text, NULL };
		int r = build_tool(b, argv, env, -1, "systemctl", &why);

		if (r == -EINTR)
			return ssi_errf(e, r, "%s", why.text);
		if (r < 0)
			return recipe_mistake(b->recipe, w->line, e, "cannot %s '%s': %s", verb, w->text, why.text);
	}
	return 0;
}

int step_services(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	int r = systemctl(b, "enable", &b->recipe->enable, e);

	if (r == 0)
		r = systemctl(b, "disable", &b->recipe->disable, e);
	return r < 0 ? r : systemctl(b, "mask", &b->recipe->mask, e);
}

int step_modules(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	_cleanup_free_ char *modules = tree_modules(b->tree, b->kernel), *kernel = modules ? ssi_path_join(modules, "kernel") : NULL;
	char *argv[] = { (char *)"depmod", (char *)"--basedir", b->tree, b->kernel, NULL };
	int r = kernel ? 0 : ssi_errno(e, -ENOMEM, "modules");

	if (r == 0 && access(kernel, F_OK) < 0)
		return 0;
	for (size_t i = 0; i < b->recipe->drop.n && r >= 0; i++)
		r = tree_remove(kernel, b->recipe->drop.words[i].text, e);
	return r < 0 ? r : build_tool(b, argv, NULL, -1, "depmod", e);
}

/* An empty /etc/machine-id: systemd gives the machine one of its own. */
static int forget_machine(const char *tree, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(tree, "etc/machine-id");
	_cleanup_close_ int fd = path ? open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC) : -1;

	return fd < 0 && path && errno != ENOENT ? ssi_errno(e, -errno, "%s", path) : 0;
}

int step_clean(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	int r = remove_all(b->tree, always_removed, N_ALWAYS, e);

	for (size_t i = 0; i < b->recipe->remove.n && r >= 0; i++)
		r = tree_remove(b->tree, b->recipe->remove.words[i].text, e);
	if (r >= 0)
		r = forget_machine(b->tree, e);
	return r < 0 ? r : tree_password_days(b->tree, b->epoch, e);
}
