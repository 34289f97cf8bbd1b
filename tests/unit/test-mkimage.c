/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of mkimage that need no tools: plans compared, apt sources filtered, trees digested and cut. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "mkimage/aptsources.h"
#include "mkimage/copy.h"
#include "mkimage/holder.h"
#include "mkimage/plan.h"
#include "mkimage/result.h"
#include "mkimage/store.h"
#include "mkimage/tool.h"
#include "mkimage/tree.h"
#include "mkimage/treehash.h"

static char scratch[64];

static int make_scratch(void **state)
{
	snprintf(scratch, sizeof(scratch), "/tmp/test-mkimage-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	return ssi_path_rmtree(scratch);
}

static char *in_scratch(const char *rel)
{
	char *path = ssi_path_join(scratch, rel), *slash;
	_cleanup_free_ char *dir = strdup(path);

	slash = strrchr(dir, '/');
	*slash = '\0';
	assert_int_equal(ssi_path_mkdirs(dir, 0755), 0);
	return path;
}

static void put(const char *rel, const char *text)
{
	_cleanup_free_ char *path = in_scratch(rel);

	assert_int_equal(ssi_file_write_atomic(path, text, strlen(text), 0644), 0);
}

static bool there(const char *rel)
{
	_cleanup_free_ char *path = ssi_path_join(scratch, rel);

	return access(path, F_OK) == 0;
}

/* Plans */

static struct recipe *a_recipe(const char *more)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT, errors = SSI_BUF_INIT;
	struct recipe *r = NULL;

	ssi_buf_addf(&text, "[image]\nname = x\nsource = debian\nsuite = bookworm\nprograms = node\n%s", more);
	assert_int_equal(recipe_parse("x.ini", text.data, text.len, &r, &errors), 0);
	return r;
}

/* The results that are there: their keys. */
struct results {
	const struct plan *of;
	bool bootstrap, initramfs, root;
};

static bool has(const char *kind, const char *key, void *userdata)
{
	const struct results *r = userdata;

	return (r->bootstrap && !strcmp(kind, RESULT_BOOTSTRAP) && !strcmp(key, r->of->bootstrap)) ||
	       (r->initramfs && !strcmp(kind, RESULT_INITRAMFS) && !strcmp(key, r->of->initramfs)) ||
	       (r->root && !strcmp(kind, RESULT_ROOT) && !strcmp(key, r->of->root));
}

/* "bootstrap= unpack initramfs= ...": '=' where the result is there already. */
static void check_plan(const char *more, const struct inputs *in, const struct results *results, const char *expected)
{
	_cleanup_recipe_ struct recipe *r = a_recipe(more);
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	struct plan p;

	assert_int_equal(plan_make(r, in, has, (void *)results, &p), 0);
	for (size_t i = 0; i < p.n; i++)
		ssi_buf_addf(&b, "%s%s%s", i ? " " : "", op_name(p.ops[i].type), p.ops[i].cached ? "=" : "");
	assert_string_equal(b.data, expected);
}

#define ALL "[overlay]\ncopy = o\n[services]\nmask = a.timer\n[modules]\ndrop = sound\n"

static void test_plans(void **state)
{
	const struct inputs in = { .source = "s", .programs = "p", .overlay = "o", .init = "i", .root_tool = "1", .init_tool = "2" };
	_cleanup_recipe_ struct recipe *r = a_recipe(ALL);
	struct results none = { 0 }, all;
	struct inputs other = in;
	struct plan p;

	assert_int_equal(plan_make(r, &in, has, &(struct results){ 0 }, &p), 0);
	all = (struct results){ &p, true, true, true };
	none.of = &p;
	check_plan("", &in, &none, "bootstrap unpack initramfs programs clean root verity publish");
	check_plan(ALL, &in, &none, "bootstrap unpack initramfs programs overlay services modules clean root verity publish");
	check_plan(ALL, &in, &all, "bootstrap= initramfs= root= publish");
	/* A changed file of the overlay: no bootstrap, no initramfs. */
	strcpy(other.overlay, "another");
	check_plan(ALL, &other, &all, "bootstrap= unpack initramfs= programs overlay services modules clean root verity publish");
	/* Another ssi-init: only the initramfs. */
	other = in;
	strcpy(other.init, "another");
	check_plan(ALL, &other, &all, "bootstrap= unpack initramfs root= publish");
	/* Other programs: only the root. */
	other = in;
	strcpy(other.programs, "another");
	check_plan(ALL, &other, &all, "bootstrap= unpack initramfs= programs overlay services modules clean root verity publish");
	/* Another source: everything. */
	other = in;
	strcpy(other.source, "another");
	check_plan(ALL, &other, &all, "bootstrap unpack initramfs programs overlay services modules clean root verity publish");
	/* A bootstrap that was pruned is not missed where nothing is to be done with it. */
	all.bootstrap = false;
	check_plan(ALL, &in, &all, "bootstrap= initramfs= root= publish");
	/* Words must not run together: "a b" and "ab" are different recipes. */
	all.bootstrap = true;
	check_plan(ALL "drop = so und\n", &in, &all, "bootstrap= unpack initramfs= programs overlay services modules clean root verity publish");
}

/* Apt sources */

static void test_aptsources(void **state)
{
	static const char list[] =
		"deb http://m/debian bookworm main # comment\ndeb-src http://m/debian bookworm main\n# deb http://n/ bookworm main\n"
		"deb [signed-by=/k.gpg arch=amd64] http://m/debian bookworm-updates main\ndeb http://m/ bookworm-backports main\ndeb http://m/ trixie main\n"
		"debian bookworm\n";
	static const char deb822[] =
		"# The archive\nTypes: deb deb-src\nURIs: http://m/debian\n# inside\nSuites: bookworm bookworm-updates trixie bookworm-backports\nComponents: main\n"
		"Signed-By: /k.gpg\n \nTypes: deb\nURIs: http://o\nSuites: nodistro\nComponents: main\n\n"
		"Types: deb-src\nURIs: http://p\nSuites: bookworm\n\nEnabled: no\nTypes: deb\nURIs: http://q\nSuites: bookworm\n\n"
		"Enabled: False\nTypes: deb\nURIs: http://q\nSuites: bookworm\n\n"
		"types: deb\nURIs: http://r\nsuites: bookworm-security\n\n"
		"Types: deb-src\n deb\nURIs: http://s\nSuites: trixie\n bookworm\n\tsid\nSigned-By:\n -----BEGIN\n .\n -----END\n";
	_cleanup_aptsources_ struct aptsources a = APTSOURCES_INIT;

	aptsources_add_list(&a, list, "bookworm");
	assert_string_equal(a.list.data, "deb http://m/debian bookworm main \ndeb [signed-by=/k.gpg arch=amd64] http://m/debian bookworm-updates main\n");
	aptsources_add_deb822(&a, deb822, "bookworm");
	assert_string_equal(a.deb822.data,
		"Types: deb\nURIs: http://m/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n"
		"Types: deb\nURIs: http://r\nSuites: bookworm-security\n\n"
		"Types: deb\nURIs: http://s\nSuites: bookworm\nSigned-By:\n -----BEGIN\n .\n -----END\n\n");
}

/* Trees */

static void tree_digest(const char *rel, char ret[SSI_HASH_HEX])
{
	_cleanup_free_ char *path = ssi_path_join(scratch, rel);
	struct ssi_hash *h = ssi_hash_new();

	assert_int_equal(treehash_add(h, path, 0, NULL), 0);
	ssi_hash_end(h, ret);
}

static void test_treehash(void **state)
{
	_cleanup_free_ char *link = NULL, *file = NULL;
	char a[SSI_HASH_HEX], b[SSI_HASH_HEX];

	put("a/x", "1");
	put("a/d/y", "2");
	put("b/d/y", "2");
	put("b/x", "1");
	tree_digest("a", a);
	tree_digest("b", b);
	assert_string_equal(a, b);
	file = in_scratch("b/x");
	chmod(file, 0755);
	tree_digest("b", b);
	assert_string_not_equal(a, b);
	chmod(file, 0644);
	link = in_scratch("b/l");
	assert_int_equal(symlink("x", link), 0);
	tree_digest("b", b);
	assert_string_not_equal(a, b);
}

static void test_remove(void **state)
{
	_cleanup_free_ char *tree = in_scratch("tree"), *link = NULL, *outside = in_scratch("outside");

	put("tree/usr/share/doc/a/b", "");
	put("tree/usr/share/man/c", "");
	put("tree/var/log/d", "");
	put("outside/keep", "");
	link = in_scratch("tree/var/run");
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(tree_remove(tree, "usr/share/doc", NULL), 1);
	assert_false(there("tree/usr/share/doc"));
	assert_int_equal(tree_remove(tree, "usr/*/m*", NULL), 1);
	assert_false(there("tree/usr/share/man"));
	/* A link on the way leads nowhere; the link itself may go. */
	assert_int_equal(tree_remove(tree, "var/run/*", NULL), 0);
	assert_true(there("outside/keep"));
	assert_int_equal(tree_remove(tree, "var/run", NULL), 1);
	assert_true(there("outside/keep"));
	assert_int_equal(tree_remove(tree, "no/such", NULL), 0);
}

static void test_copy_stays_inside(void **state)
{
	_cleanup_free_ char *tree = in_scratch("tree2"), *link = NULL, *from = NULL;
	_cleanup_close_ int at = -1;

	put("tree2/real/old", "");
	put("overlay/lib/new", "n");
	link = in_scratch("tree2/lib");
	assert_int_equal(symlink("/real", link), 0);     /* absolute: in the tree it is tree2/real */
	from = ssi_path_join(scratch, "overlay");
	at = open(tree, O_PATH | O_DIRECTORY);
	assert_int_equal(copy_into(at, "", from, NULL), 0);
	assert_true(there("tree2/real/new"));
	assert_true(there("tree2/real/old"));
}

static void test_modules(void **state)
{
	_cleanup_free_ char *dir = in_scratch("m");
	_cleanup_list_ struct list names = { 0 };
	const struct list_word *missing;

	put("m/modules.dep", "kernel/net/virtio_net.ko: kernel/x.ko\nkernel/drivers/8139cp.ko.xz:\nkernel/crc-itu-t.ko:\n");
	put("m/modules.builtin", "kernel/fs/erofs/erofs.ko\n");
	list_add_words(&names, "virtio-net 8139cp crc_itu_t erofs =ethernet", 1);
	assert_int_equal(tree_missing_module(dir, &names, &missing, NULL), 0);
	assert_null(missing);
	list_add_words(&names, "virtio_ne", 7);
	assert_int_equal(tree_missing_module(dir, &names, &missing, NULL), 0);
	assert_non_null(missing);
	assert_int_equal(missing->line, 7);
}

static void test_sweep(void **state)
{
	_cleanup_tmpdir_ struct tmpdir held = TMPDIR_INIT;

	assert_int_equal(tmpdir_new(scratch, &held, NULL), 0);
	put(".tmp-stale/deep/file", "");
	assert_int_equal(tmpdir_sweep(scratch), 1);
	assert_false(there(".tmp-stale"));
	assert_int_equal(access(held.path, F_OK), 0);
}

/* What was synced, by inode: in the place of the C library's. */
static ino_t synced[64];
static size_t n_synced;

int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && n_synced < sizeof(synced) / sizeof(*synced))
		synced[n_synced++] = st.st_ino;
	return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *rel)
{
	_cleanup_free_ char *path = ssi_path_join(scratch, rel);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	for (size_t i = 0; i < n_synced; i++)
		if (synced[i] == st.st_ino)
			return true;
	return false;
}

/* One that stands after a power cut is whole: its files are on the disk before it has its name, and then the name is, too. */
static void test_commit_is_durable(void **state)
{
	_cleanup_free_ char *to = in_scratch("durable/committed"), *folder = ssi_path_join(scratch, "durable"), *link = NULL, *file = NULL;
	_cleanup_tmpdir_ struct tmpdir t = TMPDIR_INIT;
	int fd;

	assert_int_equal(tmpdir_new(folder, &t, NULL), 0);
	file = ssi_path_join(t.path, "root.erofs");
	link = ssi_path_join(t.path, "link");
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(symlink("/nowhere", link), 0);
	n_synced = 0;
	assert_int_equal(tmpdir_commit(&t, to, NULL), 0);
	assert_null(t.path);
	assert_true(was_synced("durable/committed/root.erofs"));
	assert_true(was_synced("durable/committed"));
	assert_true(was_synced("durable"));
}

/* The store */

static void test_rm_looks_again(void **state)
{
	_cleanup_free_ char *store = ssi_path_join(scratch, "store");
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	struct ssi_err e = { 0 };

	put("store/x/" STORE_ID "aaaa/manifest.json", "{}");
	put("store/x/" STORE_ID "bbbb/manifest.json", "{}");
	assert_int_equal(store_set_current(store, "x", STORE_ID "aaaa", NULL), 0);
	assert_int_equal(store_find(store, "x/bbbb", &g, NULL), 0);
	assert_false(g.all[0].current);
	/* A build comes between. */
	assert_int_equal(store_set_current(store, "x", STORE_ID "bbbb", NULL), 0);
	assert_int_equal(store_remove(store, &g.all[0], false, &e), -EBUSY);
	assert_true(there("store/x/" STORE_ID "bbbb/manifest.json"));
	assert_true(there("store/x/current"));
	assert_int_equal(store_set_current(store, "x", STORE_ID "aaaa", NULL), 0);
	assert_int_equal(store_remove(store, &g.all[0], false, &e), 0);
	assert_false(there("store/x/" STORE_ID "bbbb"));
	assert_false(there("store/x/previous"));
	assert_true(there("store/x/current"));
}

/* What cannot be looked at is not nothing: verify would call it good. */
static void test_scan_says_what_it_cannot_see(void **state)
{
	_cleanup_free_ char *store = ssi_path_join(scratch, "blind"), *loop = in_scratch("blind/loop"), *dangling = in_scratch("blind/dangling");
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	struct ssi_err e = { 0 };

	put("blind/file", "");
	put("blind/x/" STORE_ID "aaaa/manifest.json", "{}");
	assert_int_equal(symlink("nowhere", dangling), 0);
	assert_int_equal(store_scan(store, NULL, &g, &e), 0);
	assert_int_equal(g.n, 1);
	store_free(&g);
	assert_int_equal(symlink("loop", loop), 0);
	assert_int_equal(store_scan(store, NULL, &g, &e), -ELOOP);
	assert_non_null(strstr(e.text, "blind/loop: "));
	assert_int_equal(store_scan(store, "x", &g, &e), 0);
	assert_int_equal(g.n, 1);
}

/* Who holds a generation is named; a name that would play tricks on a terminal does not. */
static void test_holder(void **state)
{
	_cleanup_free_ char *path = in_scratch("held");
	_cleanup_close_ int fd = -1;
	struct ssi_err e = { 0 };
	char name[16];

	put("held", "{}");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_false(holder_is_held(path));
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_true(holder_is_held(path));
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	assert_int_equal(prctl(PR_SET_NAME, "\033[2Jgone"), 0);
	assert_int_equal(holder_take(path, &e), -EBUSY);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	assert_int_equal(strncmp(e.text, "in use by ", 10), 0);
	assert_null(strchr(e.text, '\033'));
	flock(fd, LOCK_UN);
	assert_int_equal(close(holder_take(path, &e)), 0);
	assert_int_equal(holder_take("/nowhere/at/all", &e), -ENOENT);
}

/* Tools */

/* In the place of the C library's, so that it can fail. */
static bool no_pidfd;

int pidfd_open(pid_t pid, unsigned flags)
{
	if (no_pidfd) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int run_tool(const char *script, struct ssi_err *e)
{
	_cleanup_free_ char *log = in_scratch("tool.log");
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	struct progress p = { .to = stderr };

	unlink(log);
	return tool_run(&(struct tool){ argv, NULL, -1, -1, log }, &p, e);
}

static void test_tools(void **state)
{
	char *none[] = { (char *)"no-such-tool", NULL };
	struct progress p = { .to = stderr };
	struct ssi_err e = { 0 };

	assert_int_equal(run_tool("exit 0", &e), 0);
	assert_int_equal(run_tool("echo one; echo two >&2; exit 3", &e), -EIO);
	assert_string_equal(e.text, "sh: exit status 3: one;two");
	assert_int_equal(tool_run(&(struct tool){ none, NULL, -1, -1, "/dev/null" }, &p, &e), -ENOENT);
	assert_string_equal(e.text, "no-such-tool is not installed");
	/* One that cannot be waited for is ended, and that is no success. */
	e = (struct ssi_err){ 0 };
	no_pidfd = true;
	alarm(10);
	assert_int_equal(run_tool("sleep 60", &e), -EMFILE);
	alarm(0);
	no_pidfd = false;
	assert_string_equal(e.text, "sh: wait: Too many open files");
	signal(SIGCHLD, SIG_IGN);
	e = (struct ssi_err){ 0 };
	assert_true(run_tool("exit 1", &e) < 0);
	signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans), cmocka_unit_test(test_aptsources), cmocka_unit_test(test_treehash), cmocka_unit_test(test_remove),
		cmocka_unit_test(test_copy_stays_inside), cmocka_unit_test(test_modules), cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_commit_is_durable), cmocka_unit_test(test_rm_looks_again), cmocka_unit_test(test_scan_says_what_it_cannot_see),
		cmocka_unit_test(test_holder), cmocka_unit_test(test_tools),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
