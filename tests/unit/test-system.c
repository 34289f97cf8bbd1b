/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/base: files, folders, child processes and the log, in a folder of its own below TMPDIR. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

static char folder[4096];

static char *in(const char *name)
{
	static char path[8192];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int make_folder(void **state)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/ssi-test-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	return ssi_path_rmtree(folder);
}

static void files(void **state)
{
	char line[16], *text = NULL, hex[SSI_HASH_HEX];
	struct stat before, after;
	size_t n = 0;

	assert_int_equal(ssi_file_write_atomic(in("a"), "one\ntwo\n", 8, 0640), 0);
	assert_int_equal(stat(in("a"), &before), 0);
	assert_int_equal(before.st_mode & 07777, 0640);
	assert_int_equal(ssi_file_read(in("a"), 8, &text, &n), 0);
	assert_int_equal(n, 8);
	assert_string_equal(text, "one\ntwo\n");
	free(text);
	text = NULL;
	assert_int_equal(ssi_file_read(in("a"), 7, &text, NULL), -EFBIG);
	assert_int_equal(ssi_file_read(in("b"), 7, &text, NULL), -ENOENT);
	assert_null(text);
	assert_int_equal(ssi_file_read_line(in("a"), line, sizeof(line)), 0);
	assert_string_equal(line, "one");
	assert_int_equal(ssi_file_read_line(in("a"), line, 3), -ENOSPC);
	assert_int_equal(ssi_file_write_if_changed(in("a"), "one\ntwo\n", 8, 0640), 0);
	assert_int_equal(stat(in("a"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(ssi_file_write_if_changed(in("a"), "abc", 3, 0600), 1);
	assert_int_equal(ssi_hash_file(in("a"), hex), 0);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(ssi_hash_file(in("b"), hex), -ENOENT);
	assert_int_equal(ssi_file_write_atomic(in("no/a"), "x", 1, 0600), -ENOENT);
	assert_int_equal(ssi_file_read("/proc/self/status", 1 << 20, &text, &n), 0);
	assert_true(n > 100 && strlen(text) == n);
	free(text);
	assert_int_equal(ssi_file_poke("/dev/null", "1"), 0);
	assert_int_equal(ssi_file_poke("/dev/full", "1"), -ENOSPC);
	assert_int_equal(ssi_file_poke(in("b"), "1"), -ENOENT);
}

static void folders(void **state)
{
	assert_int_equal(ssi_path_mkdirs(in("x//y/z/"), 0755), 0);
	assert_int_equal(ssi_path_mkdirs(in("x/y/z"), 0755), 0);
	assert_int_equal(ssi_file_write_atomic(in("x/file"), "", 0, 0600), 0);
	assert_int_equal(ssi_path_mkdirs(in("x/file/z"), 0755), -ENOTDIR);
	/* A link is removed, not what it points to; a folder without permissions is no obstacle. */
	assert_int_equal(ssi_file_write_atomic(in("kept"), "", 0, 0600), 0);
	assert_int_equal(symlink("../kept", in("x/link")), 0);
	assert_int_equal(symlink("..", in("x/up")), 0);
	assert_int_equal(chmod(in("x/y"), 0), 0);
	assert_int_equal(ssi_path_rmtree(in("x/")), 0);
	assert_int_equal(access(in("x"), F_OK), -1);
	assert_int_equal(access(in("kept"), F_OK), 0);
	assert_int_equal(ssi_path_rmtree(in("x")), 0);
	assert_int_equal(ssi_path_rmtree(in("none/x")), 0);
	assert_int_equal(ssi_path_rmtree(in("kept")), 0);
	assert_int_equal(ssi_path_rmtree("/"), -EINVAL);
	assert_int_equal(ssi_path_rmtree(""), -EINVAL);
}

static int run(const char *script, unsigned timeout_ms, struct ssi_err *e)
{
	return ssi_spawn_run((char *const[]){ (char *)"sh", (char *)"-c", (char *)script, NULL }, timeout_ms, e);
}

static void children(void **state)
{
	char *const none[] = { (char *)"no-such-program-here", NULL };
	struct ssi_err e = { 0 };
	char *text = NULL;
	uint64_t start;
	pid_t pid;

	assert_int_equal(run("echo unwanted; exit 0", 5000, &e), 0);
	assert_int_equal(run("echo first >&2; echo 'the reason' >&2; echo >&2; exit 3", 5000, &e), -EIO);
	assert_string_equal(e.text, "sh: exit status 3: the reason");
	assert_int_equal(run("exit 4", 0, &e), -EIO);
	assert_string_equal(e.text, "sh: exit status 4");
	assert_int_equal(run("kill -9 $$", 0, &e), -EIO);
	assert_string_equal(e.text, "sh: ended by signal 9");
	assert_int_equal(run("i=0; while [ $i -lt 9000 ]; do echo 'a line of some length on stderr' >&2; i=$((i+1)); done; echo end >&2; exit 1", 20000, &e), -EIO);
	assert_string_equal(e.text, "sh: exit status 1: end");
	pid = 42;
	assert_int_equal(ssi_spawn(none, NULL, 0, &pid, &e), -ENOENT);
	assert_int_equal(pid, 42);
	assert_string_equal(e.text, "no-such-program-here: No such file or directory");
	assert_int_equal(ssi_spawn_run(none, 0, &e), -ENOENT);
	start = ssi_clock_mono_ms();
	assert_int_equal(run("echo stuck >&2; sleep 60", 300, &e), -ETIMEDOUT);
	assert_string_equal(e.text, "sh: not done after 300 ms, killed: stuck");
	/* What was started in the background keeps the pipes open, but holds nobody up. */
	assert_int_equal(run("sleep 5 & exit 0", 4000, &e), 0);
	assert_true(ssi_clock_mono_ms() - start < 4000);
	assert_int_equal(ssi_spawn_read((char *const[]){ (char *)"echo", (char *)"hi", NULL }, 5000, 3, &text, &e), 0);
	assert_string_equal(text, "hi\n");
	free(text);
	text = NULL;
	assert_int_equal(ssi_spawn_read((char *const[]){ (char *)"echo", (char *)"hi", NULL }, 5000, 2, &text, &e), -EFBIG);
	assert_null(text);
	assert_int_equal(ssi_spawn_which("sh"), 1);
	assert_int_equal(ssi_spawn_which("/bin/sh"), 1);
	assert_int_equal(ssi_spawn_which("no-such-program-here"), 0);
}

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

/* One that cannot be watched is ended: it may write more than a pipe holds, which nobody would read. */
static void child_that_cannot_be_watched(void **state)
{
	uint64_t start = ssi_clock_mono_ms();
	struct ssi_err e = { 0 };

	no_pidfd = true;
	assert_int_equal(run("sleep 20", 60000, &e), -EMFILE);
	no_pidfd = false;
	assert_string_equal(e.text, "sh: Too many open files");
	assert_true(ssi_clock_mono_ms() - start < 10000);
}

static void child_surroundings(void **state)
{
	int out = memfd_create("out", MFD_CLOEXEC), extra = open("/dev/null", O_RDONLY);
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"pwd; echo $A; ls /proc/self/fd | wc -l; cat; echo >&2 to-err", NULL };
	char *const env[] = { (char *)"A=b", (char *)"PATH=/usr/bin:/bin", NULL };
	char text[256] = "";
	pid_t pid;

	assert_true(out > 2 && extra > 2);
	assert_int_equal(ssi_spawn(argv, &(struct ssi_spawn_io){ -1, out, out, "/", env }, SSI_SPAWN_NEWGROUP | SSI_SPAWN_PDEATH, &pid, NULL), 0);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(ssi_spawn_wait(pid), 0);
	assert_int_equal(ssi_spawn_wait(pid), -ECHILD);
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	/* 0, 1, 2 and the folder that ls reads. */
	assert_string_equal(text, "/\nb\n4\nto-err\n");
	close(out);
	close(extra);
}

/* Each of several lines is one of its level, however long they are together; no other control character gets through. */
static void log_of_many_lines(void **state)
{
	_cleanup_close_ int saved = dup(2), out = memfd_create("log", MFD_CLOEXEC);
	static char text[65536], many[16384], longest[3000];
	char stream[64], *at = many, *line, *save = NULL;
	struct stat st;

	for (int i = 0; i < 500; i++)
		at += sprintf(at, "\nnodes.d/%d: a mistake", i);
	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(fstat(out, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	dup2(out, 2);
	setenv("JOURNAL_STREAM", stream, 1);
	ssi_log_open("prog", LOG_INFO);
	errno = ENOENT;
	log_error("mistakes: %m:%s", many);
	log_info("%s", "");
	log_info("%s", "a\033[2J\x7f\n<0>b\n");
	log_info("%s\nend", longest);
	unsetenv("JOURNAL_STREAM");
	dup2(saved, 2);
	ssi_log_open("prog", LOG_INFO);
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	line = strtok_r(text, "\n", &save);
	assert_string_equal(line, "<3>mistakes: No such file or directory:");
	for (int i = 0; i < 500; i++) {
		char want[64];

		snprintf(want, sizeof(want), "<3>nodes.d/%d: a mistake", i);
		line = strtok_r(NULL, "\n", &save);
		assert_non_null(line);
		assert_string_equal(line, want);
	}
	assert_string_equal(strtok_r(NULL, "\n", &save), "<6>");
	assert_string_equal(strtok_r(NULL, "\n", &save), "<6>a?[2J?");
	assert_string_equal(strtok_r(NULL, "\n", &save), "<6><0>b");
	line = strtok_r(NULL, "\n", &save);
	assert_true(strlen(line) > 2000 && strlen(line) < 2100);
	assert_string_equal(strtok_r(NULL, "\n", &save), "<6>end");
	assert_null(strtok_r(NULL, "\n", &save));
}

static void log_lines(void **state)
{
	_cleanup_close_ int saved = dup(2), out = memfd_create("log", MFD_CLOEXEC);
	char text[4096] = "", longest[3000], stream[64];
	struct stat st;

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(fstat(out, &st), 0);
	dup2(out, 2);
	setenv("JOURNAL_STREAM", "1:1", 1);
	ssi_log_open("prog", LOG_INFO);
	log_error("%d", 1);
	log_debug("unseen");
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ssi_log_open("prog", LOG_INFO);
	log_warning("two");
	unsetenv("JOURNAL_STREAM");
	ssi_log_open("prog", LOG_INFO);
	log_info("%s", longest);
	dup2(saved, 2);
	assert_true(pread(out, text, sizeof(text) - 1, 0) > 0);
	assert_memory_equal(text, "prog: 1\n<4>two\nprog: xxx", 24);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_true(strlen(text) < 2100);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files), cmocka_unit_test(folders), cmocka_unit_test(children),
		cmocka_unit_test(child_that_cannot_be_watched), cmocka_unit_test(child_surroundings), cmocka_unit_test(log_lines), cmocka_unit_test(log_of_many_lines),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
