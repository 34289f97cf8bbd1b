/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel and initramfs. dracut runs on this host, not in the tree: the tree gives the kernel modules, --programs gives ssi-init and the
 * dracut module, this host the libraries ssi-init was linked with. dracut sees a base folder in which our module is the only one, and
 * writes the archive uncompressed; it is made reproducible and then compressed with zstd, which the kernel unpacks fastest for its size.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/build.h"
#include "mkimage/copy.h"
#include "mkimage/cpio.h"
#include "mkimage/inputs.h"
#include "mkimage/programs.h"
#include "mkimage/result.h"
#include "mkimage/tree.h"

#define DRACUT_HOME "/usr/lib/dracut"
#define CPIO_MAX (1u << 30)

/* What dracut puts in that is of no use here (libkmod reads the .bin files; nobody cancels threads), or tells of this host. */
static const char *const unwanted[] = {
	"usr/lib/dracut*", "etc/cmdline.d*", "etc/conf.d*", "etc/ld.so.conf*", "var", "var/*", "usr/local*", "lib32", "libx32", "usr/lib32", "usr/libx32",
	"*/modules.symbols", "*/modules.order", "*/modules.builtin.modinfo", "*/modules.builtin", "*/modules.alias", "*/modules.dep", "*/libgcc_s.so*",
};

/* What a node needs to log in, besides its programs: for its image, and for its state volume. */
static const char iscsi_modules[] = "iscsi_tcp sd_mod ext4 xfs crc32c_generic";

static int check_modules(struct build *b, struct ssi_err *e)
{
	_cleanup_free_ char *modules = tree_modules(b->tree, b->kernel);
	_cleanup_list_ struct list iscsi = { 0 };
	const struct list_word *missing = NULL;
	int r = modules ? 0 : ssi_errno(e, -ENOMEM, "modules");

	if (r == 0)
		r = tree_missing_module(modules, &b->recipe->drivers, &missing, e);
	if (r == 0 && !missing)
		r = tree_missing_module(modules, &b->recipe->modules, &missing, e);
	if (r == 0 && missing)
		return recipe_mistake(b->recipe, missing->line, e, "kernel %s has no module '%s'", b->kernel, missing->text);
	if (r == 0 && b->recipe->iscsi)
		r = list_add_words(&iscsi, iscsi_modules, 0);
	if (r == 0)
		r = tree_missing_module(modules, &iscsi, &missing, e);
	if (r == 0 && missing)
		r = ssi_errf(e, -ENOENT, "%s: 'iscsi = yes' needs module '%s', which kernel %s has not", b->recipe->file, missing->text, b->kernel);
	return r;
}

/* work/dracut: links to dracut's own files, and modules.d with our module alone. */
static int make_base(struct build *b, const char *base, struct ssi_err *e)
{
	_cleanup_free_ char *modules = ssi_path_join(base, "modules.d"), *ours = ssi_path_join(b->programs, PROGRAMS_DRACUT);
	_cleanup_free_ char *real = ours ? realpath(ours, NULL) : NULL, *to = modules ? ssi_path_join(modules, "90ssi") : NULL;
	glob_t g = { 0 };
	int r = 0;

	if (!real || !to)
		return ssi_errf(e, -ENOENT, "there is no %s", ours ? ours : PROGRAMS_DRACUT);
	if (mkdir(base, 0755) < 0 || mkdir(modules, 0755) < 0 || symlink(real, to) < 0)
		return ssi_errno(e, -errno, "%s", base);
	if (glob(DRACUT_HOME "/*", 0, NULL, &g) != 0)
		return ssi_errf(e, -ENOENT, "dracut is not installed: there is no " DRACUT_HOME);
	for (size_t i = 0; i < g.gl_pathc && r == 0; i++) {
		const char *name = strrchr(g.gl_pathv[i], '/') + 1;
		_cleanup_free_ char *link = ssi_path_join(base, name);

		if (strcmp(name, "modules.d") && (!link || symlink(g.gl_pathv[i], link) < 0))
			r = ssi_errno(e, -errno, "%s/%s", base, name);
	}
	globfree(&g);
	return r;
}

static int join_words(struct ssi_buf *to, const char *name, const struct list *l)
{
	ssi_buf_addf(to, "%s=", name);
	for (size_t i = 0; i < l->n; i++)
		ssi_buf_addf(to, "%s%s", i ? " " : "", l->words[i].text);
	return to->err;
}

/* The tree's own is the smaller one: it is dynamic. */
static int find_busybox(const struct build *b, char **ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = build_path(b, "usr/bin/busybox");
	struct stat st;

	if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		*ret = TAKE_PTR(path);
		return 0;
	}
	return inputs_busybox(ret, e);
}

/* Without device nodes (DRACUT_NO_MKNOD): only root could make them, and the kernel has its own. */
static int run_dracut(struct build *b, const char *base, const char *out, bool iscsi, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf drivers = SSI_BUF_INIT, mods = SSI_BUF_INIT, programs = SSI_BUF_INIT, home = SSI_BUF_INIT, bb = SSI_BUF_INIT;
	_cleanup_free_ char *modules = tree_modules(b->tree, b->kernel), *firmware = ssi_path_join(b->tree, "usr/lib/firmware");
	_cleanup_free_ char *empty = ssi_path_join(b->work.path, "empty"), *busybox = NULL;
	int r = find_busybox(b, &busybox, e);

	if (r < 0)
		return r;
	join_words(&drivers, "SSI_DRIVERS", &b->recipe->drivers);
	join_words(&mods, "SSI_MODULES", &b->recipe->modules);
	if (iscsi)
		ssi_buf_addf(&mods, " %s", iscsi_modules);
	ssi_buf_addf(&programs, "SSI_PROGRAMS=%s", b->programs);
	ssi_buf_addf(&home, "dracutbasedir=%s", base);
	ssi_buf_addf(&bb, "SSI_BUSYBOX=%s", busybox);
	if (!modules || !firmware || !empty || drivers.err || mods.err || programs.err || home.err || bb.err)
		return ssi_errno(e, -ENOMEM, "dracut");
	if (mkdir(empty, 0755) < 0 && errno != EEXIST)
		return ssi_errno(e, -errno, "%s", empty);
	return build_tool(b, (char *[]){ (char *)"dracut", (char *)"--force", (char *)"--quiet", (char *)"--modules", (char *)"ssi", (char *)"--conf",
		(char *)"/dev/null", (char *)"--confdir", empty, (char *)"--no-hostonly", (char *)"--no-early-microcode", (char *)"--reproducible",
		(char *)"--strip", (char *)"--no-compress", (char *)"--kmoddir", modules, (char *)"--fwdir", firmware, (char *)"--tmpdir", b->work.path,
		(char *)out, b->kernel, NULL },
		(char *[]){ drivers.data, mods.data, programs.data, home.data, bb.data, (char *)(b->recipe->trim ? "SSI_TRIM=yes" : "SSI_TRIM="),
			   (char *)(iscsi ? "SSI_ISCSI=yes" : "SSI_ISCSI="), (char *)"DRACUT_NO_MKNOD=1", (char *)"LC_ALL=C", NULL }, -1, "dracut", e);
}

static int normalise(struct build *b, const char *from, const char *to, struct ssi_err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_fclose_ FILE *out = fopen(to, "we");
	size_t len;
	int r;

	if (!out)
		return ssi_errno(e, -errno, "%s", to);
	r = ssi_file_read(from, CPIO_MAX, &text, &len);
	if (r < 0)
		return ssi_errno(e, r, "%s", from);
	r = cpio_normalise(text, len, (uint32_t)b->epoch, unwanted, sizeof(unwanted) / sizeof(*unwanted), out, e);
	return r < 0 ? ssi_err_prefix(e, "%s", r == -EBADMSG ? from : to) : 0;
}

static int compress(struct build *b, const char *from, const char *to, struct ssi_err *e)
{
	char *argv[] = { (char *)"zstd", (char *)"--ultra", (char *)"-22", (char *)"-T1", (char *)"--quiet", (char *)"--no-progress", (char *)"-o", (char *)to, (char *)from, NULL };

	return build_tool(b, argv, NULL, -1, "zstd", e);
}

/* What dracut makes, reproducible, as work/NAME.cpio. */
static int make_archive(struct build *b, const char *base, const char *name, bool iscsi, char **ret, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf raw = SSI_BUF_INIT, plain = SSI_BUF_INIT;
	int r;

	ssi_buf_addf(&raw, "%s/%s.raw", b->work.path, name);
	ssi_buf_addf(&plain, "%s/%s.cpio", b->work.path, name);
	if (raw.err || plain.err)
		return ssi_errno(e, -ENOMEM, "%s", name);
	r = run_dracut(b, base, raw.data, iscsi, e);
	if (r == 0)
		r = normalise(b, raw.data, plain.data, e);
	if (r == 0 && !(*ret = strdup(plain.data)))
		r = ssi_errno(e, -ENOMEM, "%s", name);
	return r;
}

/* What the one for iSCSI has and the plain one has not, as work/difference.cpio: most nodes load the plain one alone. */
static int make_difference(struct build *b, const char *base, const char *plain, char **ret, struct ssi_err *e)
{
	_cleanup_free_ char *more = NULL, *to = ssi_path_join(b->work.path, "difference.cpio"), *base_text = NULL, *more_text = NULL;
	_cleanup_fclose_ FILE *out = to ? fopen(to, "we") : NULL;
	size_t base_len, more_len;
	int r = out ? make_archive(b, base, "initramfs-all", true, &more, e) : ssi_errno(e, -errno, "difference.cpio");

	if (r == 0 && ((r = ssi_file_read(plain, CPIO_MAX, &base_text, &base_len)) < 0 || (r = ssi_file_read(more, CPIO_MAX, &more_text, &more_len)) < 0))
		ssi_errno(e, r, "%s", more);
	if (r >= 0)
		r = cpio_difference(base_text, base_len, more_text, more_len, out, e);
	if (r == 0)
		*ret = TAKE_PTR(to);
	return r;
}

static int make_initramfs(struct build *b, const char *dir, struct ssi_err *e)
{
	_cleanup_free_ char *base = ssi_path_join(b->work.path, "dracut"), *to = ssi_path_join(dir, "initramfs"), *plain = NULL;
	_cleanup_free_ char *iscsi = ssi_path_join(dir, "initramfs-iscsi"), *difference = NULL;
	int r = base && to && iscsi ? 0 : ssi_errno(e, -ENOMEM, "initramfs");

	if (r == 0)
		r = make_base(b, base, e);
	if (r == 0)
		r = make_archive(b, base, "initramfs", false, &plain, e);
	if (r == 0)
		r = compress(b, plain, to, e);
	if (r < 0 || !b->recipe->iscsi)
		return r;
	r = make_difference(b, base, plain, &difference, e);
	return r < 0 ? r : compress(b, difference, iscsi, e);
}

static int copy_kernel(struct build *b, const char *dir, struct ssi_err *e)
{
	_cleanup_free_ char *from = NULL, *to = ssi_path_join(dir, "vmlinuz");
	int r = to ? tree_vmlinuz(b->tree, b->kernel, &from, e) : ssi_errno(e, -ENOMEM, "vmlinuz");

	return r < 0 ? r : copy_file(from, to, 0444, e);
}

/* Nobody writes to it again; its size is added. */
static int finish_file(const char *dir, const char *name, uint64_t *size, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	struct stat st;

	if (!path || chmod(path, 0444) < 0 || stat(path, &st) < 0)
		return ssi_errno(e, path ? -errno : -ENOMEM, "%s", name);
	*size += (uint64_t)st.st_size;
	return 0;
}

int step_initramfs(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	const char *const files[] = { "vmlinuz", "initramfs", b->recipe->iscsi ? "initramfs-iscsi" : NULL, NULL };
	_cleanup_tmpdir_ struct tmpdir t = TMPDIR_INIT;
	uint64_t size = 0;
	json_t *result;
	int r = check_modules(b, e);

	if (r == 0)
		r = tmpdir_new(b->cache, &t, e);
	if (r == 0)
		r = copy_kernel(b, t.path, e);
	if (r == 0)
		r = make_initramfs(b, t.path, e);
	for (size_t i = 1; r == 0 && files[i]; i++)
		r = finish_file(t.path, files[i], &size, e);
	if (r < 0)
		return r;
	*ret_size = size;
	result = json_pack("{s:s}", "kernel", b->kernel);
	r = result ? result_commit(b->cache, RESULT_INITRAMFS, b->plan->initramfs, b->refresh, &t, result, files, e) : ssi_errno(e, -ENOMEM, "initramfs");
	json_decref(result);
	return r;
}
