/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The digests behind a plan. Called by 'ssi-mkimage build', also for --dry-run. Debian's archive itself is no input that can be
 * looked at for nothing: a bootstrap stays valid until its sources or packages are named differently, or --refresh is given.
 */
#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "mkimage/inputs.h"
#include "mkimage/programs.h"
#include "mkimage/tool.h"
#include "mkimage/treehash.h"

#define INPUTS_LDD_MAX 65536u

static int no_memory(struct ssi_err *e)
{
	return ssi_errno(e, -ENOMEM, "inputs");
}

static int digest_source(const struct recipe *r, char ret[SSI_HASH_HEX], struct aptsources *sources, struct ssi_err *e)
{
	_cleanup_free_ char *path = NULL;
	struct ssi_hash *h = ssi_hash_new();
	int err = 0;

	if (!h)
		return no_memory(e);
	if (r->source == RECIPE_DIRECTORY) {
		path = recipe_path(r, r->path);
		err = path ? treehash_add(h, path, TREEHASH_OWNER, e) : no_memory(e);
	} else if (r->mirror) {
		ssi_hash_adds(h, r->mirror);
	} else {
		err = aptsources_read("/etc/apt", r->suite, sources, e);
		ssi_hash_adds(h, sources->list.data ? sources->list.data : "");
		ssi_hash_adds(h, sources->deb822.data ? sources->deb822.data : "");
	}
	ssi_hash_end(h, ret);
	return err;
}

static int digest_programs(const struct recipe *r, const char *root, char ret[SSI_HASH_HEX], struct ssi_err *e)
{
	_cleanup_list_ struct list files = { 0 };
	struct ssi_hash *h;
	int err = programs_find(root, r->programs, &files, e);

	*ret = '\0';
	if (err < 0 || !files.n)
		return err;
	h = ssi_hash_new();
	if (!h)
		return no_memory(e);
	for (size_t i = 0; i < files.n && err == 0; i++) {
		_cleanup_free_ char *path = ssi_path_join(root, files.words[i].text);

		ssi_hash_adds(h, files.words[i].text);
		err = path ? treehash_add_file(h, path, e) : no_memory(e);
	}
	ssi_hash_end(h, ret);
	return err;
}

static int digest_overlay(const struct recipe *r, char ret[SSI_HASH_HEX], struct ssi_err *e)
{
	struct ssi_hash *h;
	int err = 0;

	*ret = '\0';
	if (!r->overlays.n)
		return 0;
	h = ssi_hash_new();
	if (!h)
		return no_memory(e);
	for (size_t i = 0; i < r->overlays.n && err == 0; i++) {
		_cleanup_free_ char *path = recipe_path(r, r->overlays.words[i].text);

		err = path ? treehash_add(h, path, 0, e) : no_memory(e);
	}
	ssi_hash_end(h, ret);
	return err;
}

int inputs_busybox(char **ret, struct ssi_err *e)
{
	static const char *const places[] = { "/bin/busybox", "/usr/bin/busybox", "/sbin/busybox" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (access(places[i], X_OK) == 0) {
			*ret = strdup(places[i]);
			return *ret ? 0 : no_memory(e);
		}
	return ssi_errf(e, -ENOENT, "busybox is not installed: it goes into the initramfs for ssi.rescue");
}

/* The libraries a program is linked with on this host: dracut takes them along. A static program, or a script, has none. */
static int add_libraries(struct ssi_hash *h, const char *program, struct ssi_err *e)
{
	char *const argv[] = { (char *)"ldd", (char *)program, NULL };
	_cleanup_free_ char *out = NULL;
	char *save = NULL;
	int r = 0;

	if (ssi_spawn_read(argv, 30000, INPUTS_LDD_MAX, &out, NULL) < 0)
		return 0;
	for (char *word = strtok_r(out, " \t\n", &save); word && r == 0; word = strtok_r(NULL, " \t\n", &save))
		if (*word == '/')
			r = treehash_add_file(h, word, e);
	return r;
}

static int add_program(struct ssi_hash *h, const char *program, struct ssi_err *e)
{
	int r = treehash_add_file(h, program, e);

	return r < 0 ? r : add_libraries(h, program, e);
}

static int add_programs(struct ssi_hash *h, const char *root, const char *pattern, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(root, pattern);
	glob_t g = { 0 };
	int r = 0;

	if (!path)
		return no_memory(e);
	if (glob(path, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc && r == 0; i++)
			r = add_program(h, g.gl_pathv[i], e);
	globfree(&g);
	return r;
}

static int add_helpers(struct ssi_hash *h, const char *root, struct ssi_err *e)
{
	int r = add_programs(h, root, PROGRAMS_INIT_LIBRARIES, e);

	return r < 0 ? r : add_programs(h, root, PROGRAMS_INIT_HELPERS, e);
}

static int add_initiator(struct ssi_hash *h, struct ssi_err *e)
{
	static const char *const programs[] = { "/usr/sbin/iscsistart", "/usr/sbin/iscsid" };
	int r = 0;

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs) && r == 0; i++)
		r = access(programs[i], X_OK) == 0 ? add_program(h, programs[i], e)
			: ssi_errf(e, -ENOENT, "there is no %s: install open-iscsi, or say 'iscsi = no' in the recipe's [initramfs]", programs[i]);
	return r;
}

static int digest_init(const struct recipe *recipe, const char *root, char ret[SSI_HASH_HEX], struct ssi_err *e)
{
	_cleanup_free_ char *init = ssi_path_join(root, PROGRAMS_INIT), *module = ssi_path_join(root, PROGRAMS_DRACUT), *busybox = NULL;
	struct ssi_hash *h;
	int r = inputs_busybox(&busybox, e);

	if (r < 0)
		return r;
	if (init && access(init, X_OK) < 0)
		return ssi_errf(e, -ENOENT, "there is no %s: install this project, or say --programs DIR for where it is", init);
	h = ssi_hash_new();
	if (!h || !init || !module)
		r = no_memory(e);
	if (r == 0)
		r = add_program(h, init, e);
	if (r == 0)
		r = add_helpers(h, root, e);
	if (r == 0)
		r = treehash_add_file(h, busybox, e);
	if (r == 0)
		r = treehash_add(h, module, 0, e);
	if (r == 0 && recipe->iscsi)
		r = add_initiator(h, e);
	if (h)
		ssi_hash_end(h, ret);
	return r;
}

/* 'dracut --version' says it too, but with exit status 1 (in 059). */
static int dracut_version(char *buf, size_t n, struct ssi_err *e)
{
	static const char file[] = "/usr/lib/dracut/dracut-version.sh", key[] = "DRACUT_VERSION=";
	_cleanup_free_ char *text = NULL;
	const char *p;

	if (ssi_file_read(file, 4096, &text, NULL) < 0 || !(p = strstr(text, key)))
		return ssi_errf(e, -ENOENT, "dracut is not installed: there is no version in %s", file);
	p += strlen(key);
	snprintf(buf, n, "dracut %.*s", (int)strcspn(p, "\n"), p);
	return 0;
}

int inputs_read(const struct recipe *r, const char *programs, struct inputs *ret, struct aptsources *sources, struct ssi_err *e)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct inputs in = { 0 };
	uint32_t seconds;
	int err;

	/* 32 bits: an initramfs has no room for more. */
	if (epoch && *epoch && ssi_num_u32(epoch, 0, UINT32_MAX, &seconds) < 0)
		return ssi_errf(e, -EINVAL, "SOURCE_DATE_EPOCH is '%s': it must be seconds since 1970, at most %u", epoch, UINT32_MAX);
	if (epoch && *epoch)
		snprintf(in.epoch, sizeof(in.epoch), "%u", seconds);
	err = digest_source(r, in.source, sources, e);
	if (err == 0)
		err = digest_programs(r, programs, in.programs, e);
	if (err == 0)
		err = digest_overlay(r, in.overlay, e);
	if (err == 0)
		err = digest_init(r, programs, in.init, e);
	if (err == 0)
		err = tool_version("dump.erofs", "-V", in.root_tool, sizeof(in.root_tool), e);
	if (err == 0)
		err = dracut_version(in.init_tool, sizeof(in.init_tool), e);
	if (err == 0)
		*ret = in;
	return err;
}
