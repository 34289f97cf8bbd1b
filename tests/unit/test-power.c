/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Power by fence agents: agents made here record what they were told; and the real fence_ipmilan against a BMC simulator, if both are installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bootsvc/power.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/base/spawn.h"

#define SECRET "s3cret, and with blanks"

static char dir[] = "/tmp/ssi-power-XXXXXX";

struct result { int err, state, calls; char text[SSI_ERR_MAX]; };

static void put(const char *name, mode_t mode, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void put(const char *name, mode_t mode, const char *fmt, ...)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name), *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&text, fmt, ap) >= 0);
	va_end(ap);
	assert_int_equal(ssi_file_write_atomic(path, text, strlen(text), mode), 0);
	chmod(path, mode);
}

static char *get(const char *name)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name);
	char *text = NULL;

	return ssi_file_read(path, 1 << 20, &text, NULL) < 0 ? strdup("") : text;
}

static struct ssi_registry *registry(const char *keys)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry *r = NULL;
	struct ssi_registry_source src = { .name = "t.ini" };

	assert_true(asprintf(&text, "[machine 52:54:00:00:00:01]\n%s\n[machine 52:54:00:00:00:02]\n%s\n", keys, keys) >= 0);
	src.text = text;
	src.len = strlen(text);
	if (ssi_registry_parse(&src, 1, &r, &errors) < 0)
		fail_msg("%s", errors.data);
	return r;
}

static void done(const char *mac, enum ssi_power_action a, int err, int state, const struct ssi_err *why, void *userdata)
{
	struct result *res = userdata;

	res->err = err;
	res->state = state;
	res->calls++;
	snprintf(res->text, sizeof(res->text), "%s", why ? why->text : "");
}

/* Run the loop until all calls are back, with a bound. */
static void loop(sd_event *ev, struct result *res, size_t n)
{
	uint64_t end = ssi_clock_mono_ms() + 60000;

	for (size_t i = 0; i < n; i++)
		while (!res[i].calls) {
			assert_true(ssi_clock_mono_ms() < end);
			assert_true(sd_event_run(ev, 1000000) >= 0);
		}
}

/* One action on the first machine. */
static struct result act(const char *keys, enum ssi_power_action a)
{
	_cleanup_registry_ struct ssi_registry *r = registry(keys);
	struct result res = { 0 };
	struct ssi_power *p = NULL;
	sd_event *ev = NULL;
	struct ssi_err e = { 0 };
	int x;

	assert_int_equal(sd_event_new(&ev), 0);
	assert_int_equal(ssi_power_new(ev, &p), 0);
	x = ssi_power_start(p, r->machines[0], a, done, &res, &e);
	if (x < 0) {
		res.err = x;
		snprintf(res.text, sizeof(res.text), "%s", e.text);
	} else {
		assert_int_equal(res.calls, 0);              /* never before the call returned */
		loop(ev, &res, 1);
	}
	ssi_power_free(p);
	sd_event_unref(ev);
	return res;
}

/* Keys of a machine whose agent is a script in dir, and its password a file there. */
static char *keys_for(const char *agent)
{
	char *keys;

	assert_true(asprintf(&keys, "power = %s\npower.ip = 10.0.2.2\npower.username = admin\npower.password_file = %s/password", agent, dir) >= 0);
	return keys;
}

static int setup(void **state)
{
	_cleanup_free_ char *path = NULL;

	assert_non_null(mkdtemp(dir));
	assert_true(asprintf(&path, "%s:%s", dir, getenv("PATH")) >= 0);
	setenv("PATH", path, 1);
	setenv("DIR", dir, 1);
	put("password", 0600, SECRET "\n");
	/* Keeps its input, its arguments, and the power in a file as a real controller would. */
	put("fence_fake", 0755, "#!/bin/sh\necho \"$*\" >>$DIR/args\nwhile IFS= read -r l; do echo \"$l\" >>$DIR/told; case $l in action=*) a=${l#*=};; esac; done\n"
	    "echo \"$a\" >>$DIR/actions\ncase $a in on|off) echo $a >$DIR/power;; status) grep -q on $DIR/power || exit 2;; esac\n");
	put("fence_bad", 0755, "#!/bin/sh\necho trying\necho \"2026-01-01 10:00:00,000 ERROR: Unable to log in with %s!\" >&2\n"
	    "echo \"2026-01-01 10:00:00,000 ERROR: Please use '-h' for usage\" >&2\necho >&2\nexit 1\n", SECRET);
	put("fence_hang", 0755, "#!/bin/sh\nsleep 600 &\necho $! >$DIR/grandchild\nwait\n");
	put("fence_count", 0755, "#!/bin/sh\ncat >/dev/null\nmkdir $DIR/busy-$$ && ls -d $DIR/busy-* | wc -l >>$DIR/counts\nsleep 0.2\nrmdir $DIR/busy-$$\n");
	/* Waits for another of its kind. */
	put("fence_meet", 0755, "#!/bin/sh\ncat >/dev/null\nmkdir $DIR/met-$$\nfor i in $(seq 300); do [ $(ls -d $DIR/met-* | wc -l) -lt 2 ] || exit 0; sleep 0.1; done\nexit 1\n");
	return 0;
}

static int teardown(void **state)
{
	return ssi_path_rmtree(dir);
}

static void names(void **state)
{
	for (int a = 0; a < SSI_POWER_ACTIONS; a++)
		assert_int_equal(ssi_power_parse(ssi_power_name((enum ssi_power_action)a)), a);
	assert_int_equal(ssi_power_parse("reboot"), -EINVAL);
}

static void tells_the_agent(void **state)
{
	_cleanup_free_ char *keys = keys_for("fence_fake"), *told = NULL, *args = NULL, *actions = NULL;
	struct result r = act(keys, SSI_POWER_CYCLE);

	assert_int_equal(r.err, 0);
	assert_int_equal(r.state, 1);
	told = get("told");
	assert_non_null(strstr(told, "action=off\nip=10.0.2.2\nusername=admin\npassword=" SECRET "\n"));
	assert_non_null(strstr(told, "action=on\n"));
	assert_null(strstr(told, "password_file"));
	args = get("args");
	assert_string_equal(args, "\n\n");                   /* nothing on the command line */
	actions = get("actions");
	assert_string_equal(actions, "off\non\n");
}

static void status(void **state)
{
	_cleanup_free_ char *keys = keys_for("fence_fake");

	assert_int_equal(act(keys, SSI_POWER_OFF).state, 0);
	assert_int_equal(act(keys, SSI_POWER_STATUS).state, 0);
	assert_int_equal(act(keys, SSI_POWER_ON).state, 1);
	assert_int_equal(act(keys, SSI_POWER_STATUS).state, 1);
}

/* The reason comes back, the password does not. */
static void failure(void **state)
{
	_cleanup_free_ char *keys = keys_for("fence_bad");
	struct result r = act(keys, SSI_POWER_OFF);

	assert_int_equal(r.err, -EIO);
	assert_non_null(strstr(r.text, "fence_bad: off failed: Unable to log in with *"));
	assert_null(strstr(r.text, "s3cret"));
	assert_non_null(strstr(r.text, "(exit status 1)"));
}

static void refusals(void **state)
{
	_cleanup_free_ char *keys = keys_for("fence_fake"), *none = keys_for("fence_not_installed"), *inline_password = NULL;
	struct result r = act("comment = no power", SSI_POWER_ON);

	assert_int_equal(r.err, -ENOTSUP);
	r = act(none, SSI_POWER_ON);
	assert_int_equal(r.err, -ENOENT);
	assert_non_null(strstr(r.text, "install fence-agents"));
	assert_true(asprintf(&inline_password, "%s\npower.password = x", keys) >= 0);
	r = act(inline_password, SSI_POWER_ON);
	assert_int_equal(r.err, -EINVAL);
	assert_non_null(strstr(r.text, "power.password_file"));
	put("password", 0640, SECRET "\n");
	r = act(keys, SSI_POWER_ON);
	assert_int_equal(r.err, -EACCES);
	assert_non_null(strstr(r.text, "chmod 0600"));
	put("password", 0600, "\n");
	assert_int_equal(act(keys, SSI_POWER_ON).err, -EINVAL);
	put("password", 0600, SECRET "\n");
}

/* Past its time the agent is ended, with what it started. */
static void timeout(void **state)
{
	_cleanup_free_ char *pid = NULL;
	struct result r = act("power = fence_hang\npower.timeout = 1s", SSI_POWER_OFF);
	int gone = 0;

	assert_int_equal(r.err, -ETIMEDOUT);
	assert_non_null(strstr(r.text, "does not answer"));
	pid = get("grandchild");
	for (int i = 0; i < 200 && !gone; i++) {
		char stat[64];

		snprintf(stat, sizeof(stat), "/proc/%d/stat", atoi(pid));
		gone = kill(atoi(pid), 0) < 0;
		if (!gone) {             /* a zombie, where nobody reaps orphans, is gone as well */
			_cleanup_free_ char *text = NULL;

			gone = ssi_file_read(stat, 4096, &text, NULL) < 0 || strstr(text, ") Z ");
		}
		poll(NULL, 0, gone ? 0 : 10);
	}
	assert_true(gone);
}

/* Two actions, the second on that machine. */
static void act_twice(const char *keys, size_t second)
{
	_cleanup_registry_ struct ssi_registry *r = registry(keys);
	struct result res[2] = { 0 };
	struct ssi_power *p = NULL;
	sd_event *ev = NULL;
	struct ssi_err e;

	assert_int_equal(sd_event_new(&ev), 0);
	assert_int_equal(ssi_power_new(ev, &p), 0);
	assert_int_equal(ssi_power_start(p, r->machines[0], SSI_POWER_OFF, done, &res[0], &e), 0);
	assert_int_equal(ssi_power_start(p, r->machines[second], SSI_POWER_ON, done, &res[1], &e), 0);
	loop(ev, res, 2);
	ssi_power_free(p);
	sd_event_unref(ev);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(res[i].text, "");
		assert_int_equal(res[i].calls, 1);
	}
}

static void two_machines_side_by_side(void **state)
{
	act_twice("power = fence_meet", 1);
}

static void two_actions_one_after_the_other(void **state)
{
	_cleanup_free_ char *counts = NULL;

	act_twice("power = fence_count", 0);
	counts = get("counts");
	assert_string_equal(counts, "1\n1\n");
}

static void freed_while_running(void **state)
{
	_cleanup_registry_ struct ssi_registry *r = registry("power = fence_hang");
	struct result res[2] = { 0 };
	struct ssi_power *p = NULL;
	sd_event *ev = NULL;
	struct ssi_err e;

	assert_int_equal(sd_event_new(&ev), 0);
	assert_int_equal(ssi_power_new(ev, &p), 0);
	assert_int_equal(ssi_power_start(p, r->machines[0], SSI_POWER_OFF, done, &res[0], &e), 0);
	assert_int_equal(ssi_power_start(p, r->machines[0], SSI_POWER_ON, done, &res[1], &e), 0);
	assert_true(sd_event_run(ev, 1000000) > 0);
	ssi_power_free(p);
	sd_event_unref(ev);
	assert_int_equal(res[0].err, -ECANCELED);
	assert_int_equal(res[1].err, -ECANCELED);
}

/* A BMC simulator whose chassis is a file. */
static pid_t bmc_start(uint16_t port)
{
	_cleanup_free_ char *conf = ssi_path_join(dir, "lan.conf"), *emu = ssi_path_join(dir, "bmc.emu"), *at = ssi_path_join(dir, "state");
	char *argv[] = { "ipmi_sim", "-n", "-c", conf, "-f", emu, "-s", at, NULL };
	pid_t pid;

	put("chassis", 0755, "#!/bin/sh\n[ \"$3\" = power ] || exit 0\ncase $2 in get) echo power:$(cat %s/bmc 2>/dev/null || echo 0);; set) echo $4 >%s/bmc;; esac\n", dir, dir);
	put("lan.conf", 0600, "name \"bmc\"\nset_working_mc 0x20\nstartlan 1\n  addr 127.0.0.1 %u\n  priv_limit admin\n  allowed_auths_admin none md2 md5 straight\n"
	    "  guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"%s/chassis 0x20\"\nuser 1 true \"\" \"\" user 10 none\n"
	    "user 2 true \"admin\" \"testpw\" admin 10 none md2 md5 straight\n", port, dir);
	put("bmc.emu", 0600, "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nsel_enable 0x20 1000 0x0a\nmc_enable 0x20\n");
	mkdir(at, 0700);
	return ssi_spawn(argv, &(struct ssi_spawn_io){ .in = -1, .out = open("/dev/null", O_WRONLY | O_CLOEXEC), .err = -1 }, SSI_SPAWN_PDEATH, &pid, NULL) < 0 ? -1 : pid;
}

static void real_bmc(void **state)
{
	uint16_t port = (uint16_t)(20000 + getpid() % 20000);
	_cleanup_free_ char *keys = NULL;
	struct result r = { 0 };
	pid_t bmc;

	if (!ssi_spawn_which("fence_ipmilan") || !ssi_spawn_which("ipmi_sim")) {
		print_message("fence_ipmilan or ipmi_sim is not installed\n");
		skip();
	}
	bmc = bmc_start(port);
	assert_true(bmc > 0);
	put("bmcpw", 0600, "testpw\n");
	assert_true(asprintf(&keys, "power = fence_ipmilan\npower.ip = 127.0.0.1\npower.ipport = %u\npower.username = admin\npower.password_file = %s/bmcpw\n"
			     "power.lanplus = 1\npower.cipher = 3", port, dir) >= 0);
	for (int i = 0; i < 5 && (i == 0 || r.err); i++)     /* the simulator takes a moment to listen */
		r = act(keys, SSI_POWER_STATUS);
	assert_string_equal(r.text, "");
	assert_int_equal(r.state, 0);
	r = act(keys, SSI_POWER_ON);
	assert_string_equal(r.text, "");
	assert_int_equal(act(keys, SSI_POWER_STATUS).state, 1);
	r = act(keys, SSI_POWER_CYCLE);
	assert_string_equal(r.text, "");
	r = act(keys, SSI_POWER_OFF);
	assert_string_equal(r.text, "");
	assert_int_equal(act(keys, SSI_POWER_STATUS).state, 0);
	kill(bmc, SIGKILL);
	waitpid(bmc, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names), cmocka_unit_test(tells_the_agent), cmocka_unit_test(status), cmocka_unit_test(failure),
		cmocka_unit_test(refusals), cmocka_unit_test(timeout), cmocka_unit_test(two_machines_side_by_side),
		cmocka_unit_test(two_actions_one_after_the_other), cmocka_unit_test(freed_while_running),
		cmocka_unit_test(real_bmc),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
