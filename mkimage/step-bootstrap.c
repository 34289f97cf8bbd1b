/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first step: a Debian suite's packages into a tarball, by mmdebstrap. As an ordinary user mmdebstrap makes its own user namespace, so
 * this step runs outside of ours. What every image does without (documentation, translations, the distribution's own initramfs) is not
 * even unpacked. The tarball carries the true owners whoever runs this. What it does not do well: when an ordinary user's build is killed
 * with SIGKILL, mmdebstrap runs on for its minute and then tidies up; root's ends at once.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "mkimage/build.h"
#include "mkimage/result.h"

#define TARBALL "tree.tar.zst"

/*
 * As root: in a process and a mount namespace that end with us, killed or not, and with them every child of mmdebstrap's and every mount in its
 * tree. SIGTERM, which the kernel sends our children, would be kept waiting by unshare(1).
 */
#define JAIL "setpriv\n--pdeathsig\nKILL\nunshare\n--pid\n--fork\n--kill-child=KILL\n--mount-proc\n"

static const char *const excluded[] = {
	"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*", "/usr/share/bug/*",
	"/etc/kernel/postinst.d/initramfs-tools",
};
#define N_EXCLUDED (sizeof(excluded) / sizeof(*excluded))

/* In a chroot that is no mount point the kernel gives no private mount namespace: then mmdebstrap's own cleaning up has to do. */
static bool can_jail(void)
{
	return ssi_spawn_run((char *[]){ (char *)"unshare", (char *)"--pid", (char *)"--fork", (char *)"--mount-proc", (char *)"true", NULL }, 10000, NULL) == 0;
}

/* The words of mmdebstrap's command line; each is allocated. */
static int arguments(const struct build *b, const char *dir, struct list *a)
{
	const struct recipe *r = b->recipe;
	_cleanup_buf_ struct ssi_buf t = SSI_BUF_INIT;
	bool root = geteuid() == 0;
	int err = 0;

	ssi_buf_addf(&t, "%smmdebstrap\n--variant=minbase\n--mode=%s\n--aptopt=APT::Install-Recommends \"false\"\n--include=%s",
		     root && can_jail() ? JAIL : "", root ? "root" : "unshare", r->kernel);
	for (size_t i = 0; i < r->packages.n; i++)
		ssi_buf_addf(&t, ",%s", r->packages.words[i].text);
	for (size_t i = 0; i < N_EXCLUDED; i++)
		ssi_buf_addf(&t, "\n--dpkgopt=path-exclude=%s", excluded[i]);
	ssi_buf_addf(&t, "\n%s\n%s/" TARBALL, r->suite, dir);
	if (r->mirror)
		ssi_buf_addf(&t, "\n%s", r->mirror);
	if (b->sources->list.len)
		ssi_buf_addf(&t, "\n%s/host.list", dir);
	if (b->sources->deb822.len)
		ssi_buf_addf(&t, "\n%s/host.sources", dir);
	for (char *p = t.data; p && !t.err && err == 0; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		err = list_add(a, p, strcspn(p, "\n"), 0);
	return t.err ? t.err : err;
}

static int write_sources(const char *dir, const char *name, const struct ssi_buf *text, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	int r = !text->len ? 0 : path ? ssi_file_write_atomic(path, text->data, text->len, 0644) : -ENOMEM;

	return r < 0 ? ssi_errno(e, r, "%s/%s", dir, name) : 0;
}

static int run_mmdebstrap(struct build *b, const char *dir, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf tmp = SSI_BUF_INIT;
	_cleanup_list_ struct list words = { 0 };
	_cleanup_free_ char **argv = NULL, *log = ssi_path_join(dir, "bootstrap.log"), *tar = ssi_path_join(dir, TARBALL);
	int r = arguments(b, dir, &words);

	/* Its tree lies where the next build sweeps; an ordinary user's must be where other ids may look, which a home folder may not be. */
	ssi_buf_addf(&tmp, "TMPDIR=%s", geteuid() == 0 ? dir : "/tmp");
	argv = reallocarray(NULL, words.n + 1, sizeof(*argv));
	if (r < 0 || !argv || !log || !tar || tmp.err)
		return ssi_errno(e, -ENOMEM, "mmdebstrap");
	for (size_t i = 0; i < words.n; i++)
		argv[i] = words.words[i].text;
	argv[words.n] = NULL;
	b->progress.watch = tar;
	r = build_tool_log(b, argv, (char *[]){ tmp.data, (char *)"LC_ALL=C.UTF-8", (char *)"DEBIAN_FRONTEND=noninteractive", NULL }, -1, log, e);
	b->progress.watch = NULL;
	return r;
}

int step_bootstrap(struct build *b, uint64_t *ret_size, struct ssi_err *e)
{
	static const char *const files[] = { TARBALL, NULL };
	_cleanup_tmpdir_ struct tmpdir t = TMPDIR_INIT;
	_cleanup_free_ char *tar = NULL;
	json_t *result = NULL;
	time_t began = time(NULL);
	struct stat st;
	int r = tmpdir_new(b->cache, &t, e);

	if (r < 0)
		return r;
	if (chmod(t.path, 0755) < 0)     /* apt fetches as a user of its own */
		return ssi_errno(e, -errno, "%s", t.path);
	tar = ssi_path_join(t.path, TARBALL);
	r = tar ? write_sources(t.path, "host.list", &b->sources->list, e) : ssi_errno(e, -ENOMEM, "%s", b->cache);
	if (r == 0)
		r = write_sources(t.path, "host.sources", &b->sources->deb822, e);
	if (r == 0)
		r = run_mmdebstrap(b, t.path, e);
	if (r < 0)
		return r;
	if (stat(tar, &st) == 0)
		*ret_size = (uint64_t)st.st_size;
	/* What is newer than this was made by the installation, not brought by a package. */
	result = json_pack("{s:I}", "began", (json_int_t)began);
	r = result ? result_commit(b->cache, RESULT_BOOTSTRAP, b->plan->bootstrap, b->refresh, &t, result, files, e) : ssi_errno(e, -ENOMEM, "bootstrap");
	json_decref(result);
	return r;
}
