/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * init-iscsi: a helper of ssi-init for nodes whose image or state volume is a disk of the master. PID 1 runs it, with a deadline, as
 *
 *     init-iscsi login              a session with the system's target, by open-iscsi's iscsistart, and its disks
 *
 * One login brings both disks: they are LUNs of one target (bootsvc/targets-plan.h). The secret for CHAP is derived from the node's key (line.c), so this comes after the token.
 * What keeps the session from then on is session.c. What it does not do well: the second portal is for the login alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"
#include "libssi/model/iscsi.h"
#include "ssi-init/boot.h"
#include "ssi-init/outcome.h"
#include "ssi-init/session.h"

#define INITIATOR_DIR "/etc/iscsi"
#define INITIATOR_FILE INITIATOR_DIR "/initiatorname.iscsi"
#define LOGIN_MS 20000          /* at one portal. iscsistart gives up before that, and leaves nothing behind; killed, it leaves half a session, which keeps the next try out */
#define DISKS_MS 15000          /* for the disks of a session: a state volume may be checked first */
#define RESCAN_MS 500
#define LOOK_MS 10
#define EAGER SSI_LIBEXECDIR "/libiscsistart-eager.so"

static void login_rest(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* Whoever may read it may read the key, which lies beside it. */
static int login_secret(char ret[SSI_ISCSI_SECRET], struct ssi_err *e)
{
	int r = ssi_file_read_line(BOOT_SECRET, ret, SSI_ISCSI_SECRET);

	return r < 0 ? ssi_errno(e, r, "%s", BOOT_SECRET) : 0;
}

/* For iscsid, which logs in again with it. */
static int login_write_name(const char *initiator, struct ssi_err *e)
{
	char text[SSI_ISCSI_NAME + 32];
	int n = snprintf(text, sizeof(text), "InitiatorName=%s\n", initiator);
	int r = ssi_path_mkdirs(INITIATOR_DIR, 0755);

	if (r >= 0)
		r = ssi_file_write_atomic(INITIATOR_FILE, text, (size_t)n, 0600);
	return r < 0 ? ssi_errno(e, r, "%s", INITIATOR_FILE) : 0;
}

/* The last thing that iscsistart said of what went wrong. */
static void login_words(int fd, char *ret, size_t n)
{
	char text[2048];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	char *line, *save = NULL;

	snprintf(ret, n, "no word from iscsistart");
	text[len < 0 ? 0 : len] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strstr(line, "version") && !strstr(line, "Logging into"))
			snprintf(ret, n, "%s", strncmp(line, "iscsistart: ", 12) ? line : line + 12);
}

static int login_run(char *const argv[], const char *portal, struct ssi_err *e)
{
	_cleanup_close_ int words = memfd_create("iscsistart", MFD_CLOEXEC);
	struct ssi_spawn_io io = { -1, words, words, NULL, NULL };
	uint64_t end = ssi_clock_mono_ms() + LOGIN_MS;
	int status, r;
	char said[160];
	pid_t pid;

	r = words < 0 ? -errno : ssi_spawn(argv, &io, SSI_SPAWN_NEWGROUP, &pid, e);
	if (r < 0)
		return r;
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (ssi_clock_mono_ms() >= end) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			return ssi_errf(e, -ETIMEDOUT, "%s has not answered for %d s", portal, LOGIN_MS / 1000);
		}
		login_rest(LOOK_MS);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	login_words(words, said, sizeof(said));
	return ssi_errf(e, -ECONNREFUSED, "login at %s: %s", portal, said);
}

static int login_at(const struct ssi_bootargs *a, const char *secret, struct in_addr address, uint16_t port, struct ssi_err *e)
{
	char target[SSI_ISCSI_NAME], initiator[SSI_ISCSI_NAME], host[INET_ADDRSTRLEN], service[8], portal[INET_ADDRSTRLEN + 8];
	int r = ssi_iscsi_target(a->system, target);

	if (r == 0)
		r = ssi_iscsi_initiator(a->system, a->node, a->incarnation, initiator);
	if (r < 0)
		return ssi_errno(e, r, "iSCSI names of %s", a->node);
	r = login_write_name(initiator, e);
	if (r < 0)
		return r;
	inet_ntop(AF_INET, &address, host, sizeof(host));
	snprintf(service, sizeof(service), "%u", port);
	snprintf(portal, sizeof(portal), "%s:%u", host, port);
	outcome_note("logging in at %s", portal);
	return login_run((char *[]){ (char *)"iscsistart", (char *)"-i", initiator, (char *)"-t", target, (char *)"-g", (char *)"1", (char *)"-a", host,
		(char *)"-p", service, (char *)"-u", (char *)a->node, (char *)"-w", (char *)secret,
		(char *)"-P", (char *)"node.session.auth.authmethod=CHAP", (char *)"-P", (char *)"node.session.auth.chap_algs=SHA256",
		/* I/O waits for the master, and never fails. */
		(char *)"-P", (char *)"node.session.timeo.replacement_timeout=-1",
		(char *)"-P", (char *)"node.conn[0].timeo.noop_out_interval=5", (char *)"-P", (char *)"node.conn[0].timeo.noop_out_timeout=5",
		/* It would answer after a scan of everything; which LUNs there may be is known (login_disks). */
		(char *)"-P", (char *)"node.session.scan=manual",
		/* Tries are this stage's, and the next one's portal may be another. */
		(char *)"-P", (char *)"node.session.initial_login_retry_max=0", (char *)"-P", (char *)"node.conn[0].timeo.login_timeout=5", NULL }, portal, e);
}

/* At the first portal that lets us in. */
static int login_anywhere(const struct ssi_bootargs *a, struct ssi_err *e)
{
	char secret[SSI_ISCSI_SECRET];
	struct in_addr address;
	struct ssi_err other;
	uint16_t port;
	int r = login_secret(secret, e);

	if (r < 0)
		return r;
	for (unsigned i = 0; ssi_bootargs_portal(a->iscsi, i, &address, &port) == 0; i++) {
		r = login_at(a, secret, address, port, i ? &other : e);
		if (r == 0)
			break;
		if (i)
			log_warning("%s", other.text);
	}
	explicit_bzero(secret, sizeof(secret));
	return r;
}

/* Does the session have this LUN? */
static bool login_has(unsigned lun)
{
	char pattern[96];
	glob_t g = { 0 };
	bool has;

	snprintf(pattern, sizeof(pattern), SESSION_GLOB "/device/target*/*:*:*:%u", lun);
	has = glob(pattern, 0, NULL, &g) == 0;
	globfree(&g);
	return has;
}

/* Of the session's host: this LUN alone. The kernel is back when it has looked. */
static void login_scan(unsigned lun)
{
	glob_t g = { 0 };
	char what[24];

	snprintf(what, sizeof(what), "0 0 %u", lun);
	if (glob(SESSION_GLOB "/device/../scsi_host/host*/scan", 0, NULL, &g) == 0)
		(void)ssi_file_poke(g.gl_pathv[0], what);
	globfree(&g);
}

/* A LUN that was not there at the login comes when the master is done with it. */
static int login_disks(const struct ssi_bootargs *a, struct ssi_err *e)
{
	const struct { unsigned lun; bool wanted; const char *what; } disks[] = {
		{ SSI_ISCSI_LUN_IMAGE, !strncmp(a->root, "iscsi:", 6), "image" },
		{ SSI_ISCSI_LUN_STATE, !strncmp(a->state, "disk:UUID=", 10), "state volume" },
	};
	uint64_t end = ssi_clock_mono_ms() + DISKS_MS;

	for (size_t i = 0; i < sizeof(disks) / sizeof(*disks); i++) {
		outcome_note("waiting for LUN %u, the %s", disks[i].lun, disks[i].what);
		while (disks[i].wanted && !login_has(disks[i].lun)) {
			login_scan(disks[i].lun);
			if (login_has(disks[i].lun))
				break;
			if (ssi_clock_mono_ms() >= end)
				return ssi_errf(e, -ENODEV, "the master does not give LUN %u, the %s (see 'ssi-bootsvc events' there)", disks[i].lun, disks[i].what);
			login_rest(RESCAN_MS);
		}
	}
	return 0;
}

static int login(const struct boot *b, struct ssi_err *e)
{
	char state[32] = "";
	int r;

	session_state(state, sizeof(state));
	r = strcmp(state, "LOGGED_IN") == 0 ? 0 : login_anywhere(&b->args, e);
	return r < 0 ? r : login_disks(&b->args, e);
}

int main(int argc, char **argv)
{
	struct ssi_err e = { 0 };
	struct boot b = { 0 };
	int r;

	ssi_log_open("ssi-init", LOG_INFO);
	if (argc != 2 || strcmp(argv[1], "login") != 0) {
		fprintf(stderr, "init-iscsi: a helper of ssi-init(8): init-iscsi login\n");
		return 2;
	}
	r = boot_read_args(&b, &e);
	if (b.args.debug)
		ssi_log_open("ssi-init", LOG_DEBUG);
	/* For iscsistart, which alone is started from here. */
	if (access(EAGER, R_OK) == 0)
		setenv("LD_PRELOAD", EAGER, 1);
	log_debug("%llu ms: login", (unsigned long long)ssi_clock_boot_ms());
	if (r == 0)
		r = login(&b, &e);
	log_debug("%llu ms: logged in", (unsigned long long)ssi_clock_boot_ms());
	outcome_put(&e);
	return r < 0;
}
