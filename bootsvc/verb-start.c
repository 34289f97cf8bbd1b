/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "start": reads the options, goes to the background unless told not to, and runs the daemon. In the background the caller
 * gets exit status 0 once the daemon serves, and 1 with its words on standard error if it does not come up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "bootsvc/crash.h"
#include "bootsvc/daemon.h"
#include "bootsvc/unit.h"
#include "bootsvc/verbs.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/wire.h"

#define WORDS_MAX 65536      /* of a daemon that did not start, shown to who started it */

const struct ssi_opt verb_start_opts[] = {
	{ "foreground", 'f', NULL, "stay in the foreground (what a service manager wants)", NULL },
	{ "debug", 'd', NULL, "say more", NULL },
	{ "exports", 0, "BACKEND", "how images are exported: nfsd (default), or none", "nfsd none" },
	{ "no-dhcp", 0, NULL, "run no dnsmasq: something else brings machines to /boot/MAC", NULL },
	{ "crash-at", 0, "POINT", "for tests: end there as by kill -9; 'list' prints the points", NULL },
	{ "http-port", 0, "PORT", "where boot scripts, kernels and initramfs are served (7780)", NULL },
	{ "ccm-port", 0, "PORT", "where nodes connect (7701)", NULL },
	{ 0 },
};

static int port_option(const struct ssi_cmd_args *a, const char *name, uint16_t builtin, uint16_t *ret)
{
	const char *s = ssi_cmd_opt(a, name);
	uint32_t v = builtin;

	if (s && ssi_num_u32(s, 1, 65535, &v) < 0) {
		log_error("--%s %s: a port is a number from 1 to 65535", name, s);
		return -EINVAL;
	}
	*ret = (uint16_t)v;
	return 0;
}

static int options_read(const struct ssi_cmd_args *a, struct bootsvc_options *o)
{
	const char *crash = ssi_cmd_opt(a, "crash-at");

	*o = (struct bootsvc_options) {
		.config = verb_config_dir(a), .state = verb_state_dir(a), .run = verb_run_dir(a), .store = verb_store_dir(a),
		.exports = ssi_cmd_opt(a, "exports") ?: "nfsd",
		.dhcp = !ssi_cmd_opt(a, "no-dhcp"),
	};
	if (strcmp(o->exports, "nfsd") != 0 && strcmp(o->exports, "none") != 0) {
		log_error("--exports %s: it is nfsd or none", o->exports);
		return -EINVAL;
	}
	if (crash && crash_set(crash) < 0) {
		log_error("--crash-at %s: no such point; 'list' prints them", crash);
		return -EINVAL;
	}
	if (port_option(a, "http-port", BOOTSVC_HTTP_PORT, &o->http_port) < 0)
		return -EINVAL;
	return port_option(a, "ccm-port", SSI_WIRE_PORT, &o->ccm_port);
}

/* What the daemon wrote since the log was so long. */
static void print_words(int log, off_t from)
{
	char words[WORDS_MAX];
	ssize_t n = pread(log, words, sizeof(words), from);

	for (ssize_t done = 0, w; n > 0 && done < n; done += w) {
		w = write(STDERR_FILENO, words + done, (size_t)(n - done));
		if (w <= 0)
			break;
	}
}

/* In the process that a person started, at the other end of a pipe: a byte when the daemon serves, its end when it does not. */
static void wait_ready(int ready, int log, off_t from) __attribute__((noreturn));
static void wait_ready(int ready, int log, off_t from)
{
	char c;

	if (read(ready, &c, 1) == 1)
		_exit(0);
	print_words(log, from);
	log_error("did not start");
	_exit(1);
}

static int background(const char *run, int *ret_ready)
{
	_cleanup_free_ char *path = ssi_path_join(run, "bootsvc.log");
	_cleanup_close_ int log = -1, null = -1;
	int p[2];
	off_t from;
	pid_t pid;
	int r = path ? ssi_path_mkdirs(run, 0755) : -ENOMEM;

	if (r < 0)
		return r;
	log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log < 0 || null < 0 || pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	from = lseek(log, 0, SEEK_END);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(p[1]);
		wait_ready(p[0], log, from);
	}
	close(p[0]);
	setsid();
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		_exit(1);
	*ret_ready = p[1];
	return 0;
}

/* Started with nothing but built-in values: then it is the daemon of systemd's unit, where there is one. */
static bool is_the_unit(const struct ssi_cmd_args *a)
{
	static const char *const own[] = { "foreground", "debug", "exports", "no-dhcp", "crash-at", "http-port", "ccm-port", "config", "state", "run", "store" };

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (ssi_cmd_opt(a, own[i]))
			return false;
	return unit_known();
}

int verb_start(struct ssi_cmd_args *a, int argc, char **argv)
{
	struct bootsvc_options o;
	_cleanup_close_ int ready = -1;
	struct ssi_err e;
	int r;

	ssi_log_open("ssi-bootsvc", ssi_cmd_opt(a, "debug") ? LOG_DEBUG : LOG_INFO);
	if (strcmp(ssi_cmd_opt(a, "crash-at") ?: "", "list") == 0) {
		for (int p = 0; p < CRASH_POINTS; p++)
			puts(crash_name((enum crash_point)p));
		return 0;
	}
	if (options_read(a, &o) < 0)
		return 2;
	if (is_the_unit(a)) {
		if (unit_start(&e) == 0)
			return 0;
		log_error("%s: see 'journalctl -u " UNIT_NAME "'", e.text);
		return 1;
	}
	if (!ssi_cmd_opt(a, "foreground")) {
		r = background(o.run, &ready);
		if (r < 0) {
			log_error("cannot go to the background, with its log in %s: %s", o.run, strerror(-r));
			return 1;
		}
	}
	r = daemon_run(&o, &ready, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	return 0;
}
