/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bootsvc/volumes-plan and volumes-job: what is decided about state volumes, as tables; commands that go wrong in every way. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "bootsvc/volumes-job.h"
#include "bootsvc/volumes-plan.h"
#include "libssi/base/clock.h"

static void upgrades(void **state)
{
	static const struct {
		const char *used, *boots;
		enum ssi_on_upgrade policy;
		const char *decision, *decided_for;
		enum volume_upgrade want;
	} t[] = {
		{ "", "b", SSI_UPGRADE_ASK, "", "", VOLUME_SAME },
		{ "", "b", SSI_UPGRADE_FRESH, "", "", VOLUME_SAME },
		{ "a", "a", SSI_UPGRADE_ASK, "", "", VOLUME_SAME },
		{ "a", "a", SSI_UPGRADE_ASK, "fresh", "b", VOLUME_SAME },        /* rolled back before it was done */
		{ "a", "b", SSI_UPGRADE_ASK, "", "", VOLUME_ASK },
		{ "a", "b", SSI_UPGRADE_KEEP, "", "", VOLUME_KEEP },
		{ "a", "b", SSI_UPGRADE_FRESH, "", "", VOLUME_FRESH },
		{ "a", "b", SSI_UPGRADE_ASK, "ask", "b", VOLUME_ASK },
		{ "a", "b", SSI_UPGRADE_ASK, "keep", "b", VOLUME_KEEP },
		{ "a", "b", SSI_UPGRADE_ASK, "fresh", "b", VOLUME_FRESH },
		{ "a", "c", SSI_UPGRADE_ASK, "keep", "b", VOLUME_ASK },          /* of another generation it was not said */
		{ "a", "c", SSI_UPGRADE_ASK, "fresh", "b", VOLUME_ASK },
		{ "a", "b", SSI_UPGRADE_FRESH, "keep", "b", VOLUME_KEEP },       /* what was said counts, also when the policy is another by now */
		{ "a", "b", SSI_UPGRADE_KEEP, "fresh", "b", VOLUME_FRESH },
		{ "a", "b", SSI_UPGRADE_KEEP, "ask", "b", VOLUME_KEEP },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		if (volume_decide(t[i].used, t[i].boots, t[i].policy, t[i].decision, t[i].decided_for) != t[i].want)
			fail_msg("row %zu", i);
	assert_string_equal(volume_upgrade_name(VOLUME_SAME), "");
	assert_string_equal(volume_upgrade_name(VOLUME_ASK), "ask");
}

static void superblocks(void **state)
{
	uint8_t p[VOLUME_PROBE] = { 0 };
	struct volume_super s;

	assert_int_equal(volume_super(p, &s), -EMEDIUMTYPE);
	memcpy(p + 1024 + 0x38, "\x53\xef", 2);
	memcpy(p + 1024 + 0x68, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
	assert_int_equal(volume_super(p, &s), 0);
	assert_string_equal(s.fs, "ext4");
	assert_string_equal(s.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(s.closed, VOLUME_OPEN);         /* not marked as whole */
	p[1024 + 0x3a] = 1;
	assert_int_equal(volume_super(p, &s), 0);
	assert_int_equal(s.closed, VOLUME_CLOSED);
	p[1024 + 0x60] = 4;                              /* a journal to be replayed */
	assert_int_equal(volume_super(p, &s), 0);
	assert_int_equal(s.closed, VOLUME_OPEN);
	p[1024 + 0x60] = 0;
	p[1024 + 0x3a] = 3;                              /* errors were noted */
	assert_int_equal(volume_super(p, &s), 0);
	assert_int_equal(s.closed, VOLUME_OPEN);
	memcpy(p, "XFSB", 4);
	memcpy(p + 32, "\xff", 1);
	assert_int_equal(volume_super(p, &s), 0);
	assert_string_equal(s.fs, "xfs");
	assert_int_equal(s.closed, VOLUME_UNKNOWN);
	assert_string_equal(s.uuid, "ff000000-0000-0000-0000-000000000000");
}

/* In every state of a node, with a volume that is its, nobody's, or on its way to it: who may do what. */
static void ways(void **state)
{
	const char *why;

	for (int s = 0; s < SSI_NODE_STATES; s++)
		for (int w = VOLUME_SNAPSHOT; w <= VOLUME_REMOVE; w++) {
			struct volume_use u = { .incarnation = 0, .state = (enum ssi_nodestate)s, .runs = 7, .off_ms = 60000, .closed = VOLUME_OPEN };
			enum volume_way want = s == SSI_NODE_OFF ? VOLUME_PLAIN : s == SSI_NODE_JOINED && w == VOLUME_SNAPSHOT ? VOLUME_FREEZE : VOLUME_REFUSED;

			/* Nobody's: whatever the node does, it does it without. */
			assert_int_equal(volume_way((enum volume_want)w, &u, &why), VOLUME_PLAIN);
			u.incarnation = 7;
			assert_int_equal(volume_way((enum volume_want)w, &u, &why), want);
			assert_true((why != NULL) == (want == VOLUME_REFUSED));
			/* An incarnation before the one that runs: the session there is not the one that would stand still. */
			u.incarnation = 6;
			assert_int_equal(volume_way((enum volume_want)w, &u, &why), s == SSI_NODE_OFF ? VOLUME_PLAIN : VOLUME_REFUSED);
			u.taker = 8;
			assert_int_equal(volume_way((enum volume_want)w, &u, &why), VOLUME_REFUSED);
			assert_non_null(why);
		}
}

/* After its goodbye a node writes back what its disks hold; a superblock that is closed says that it has. */
static void closing(void **state)
{
	struct volume_use u = { .incarnation = 7, .state = SSI_NODE_OFF, .runs = 7, .off_ms = VOLUME_CLOSING_MS - 1, .closed = VOLUME_OPEN };
	const char *why;

	assert_int_equal(volume_way(VOLUME_RESTORE, &u, &why), VOLUME_REFUSED);
	assert_non_null(strstr(why, "goodbye"));
	u.closed = VOLUME_UNKNOWN;
	assert_int_equal(volume_way(VOLUME_SNAPSHOT, &u, &why), VOLUME_REFUSED);
	u.closed = VOLUME_CLOSED;
	assert_int_equal(volume_way(VOLUME_RESTORE, &u, &why), VOLUME_PLAIN);
	u.closed = VOLUME_OPEN;
	u.off_ms = VOLUME_CLOSING_MS;
	assert_int_equal(volume_way(VOLUME_RESTORE, &u, &why), VOLUME_PLAIN);
}

/* ---- commands ---- */

struct outcome { sd_event *event; int calls, err; size_t ran; char text[512]; };

static void on_done(int err, const struct ssi_err *why, size_t ran, void *userdata)
{
	struct outcome *o = userdata;

	o->calls++;
	o->err = err;
	o->ran = ran;
	snprintf(o->text, sizeof(o->text), "%s", why->text);
	sd_event_exit(o->event, 0);
}

static struct outcome run(const struct volume_command *c, size_t n)
{
	struct outcome o = { 0 };
	struct volume_job *j;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_true(sd_event_new(&o.event) >= 0);
	assert_int_equal(volume_job_start(o.event, c, n, on_done, &o, &j), 0);
	assert_int_equal(o.calls, 0);                    /* later, from the loop */
	assert_true(sd_event_loop(o.event) >= 0);
	sd_event_unref(o.event);
	assert_int_equal(o.calls, 1);
	return o;
}

#define SH(script) { "sh", "-c", script }

static void jobs(void **state)
{
	struct outcome o = run((const struct volume_command[]) { { SH("exit 0"), .ok = 1 }, { SH("exit 2"), .ok = 1 << 0 | 1 << 2 } }, 2);

	assert_int_equal(o.err, 0);
	assert_int_equal(o.ran, 1);
	/* The last line that it says is why. */
	o = run((const struct volume_command[]) { { SH("echo first; echo the reason >&2; exit 4"), .ok = 1 << 0 | 1 << 1 }, { SH("exit 0"), .ok = 1 } }, 2);
	assert_int_equal(o.err, -EIO);
	assert_int_equal(o.ran, 0);
	assert_string_equal(o.text, "sh: the reason (status 4)");
	/* Another takes its place, and is not run where it is not needed. */
	o = run((const struct volume_command[]) { { SH("exit 1"), .ok = 1 }, { SH("exit 0"), .ok = 1, .otherwise = true } }, 2);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.ran, 1);
	o = run((const struct volume_command[]) { { SH("exit 0"), .ok = 1 }, { SH("exit 1"), .ok = 1, .otherwise = true } }, 2);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.ran, 0);
	o = run((const struct volume_command[]) { { SH("kill -9 $$"), .ok = 1 } }, 1);
	assert_int_equal(o.err, -EIO);
	assert_string_equal(o.text, "sh: failed (signal 9)");
	o = run((const struct volume_command[]) { { { "no-such-program" }, .ok = 1 } }, 1);
	assert_int_equal(o.err, -ENOENT);
}

static void jobs_in_time(void **state)
{
	uint64_t began = ssi_clock_mono_ms();
	struct outcome o = run((const struct volume_command[]) { { SH("sleep 100"), .ok = 1, .limit_s = 1 } }, 1);

	assert_int_equal(o.err, -ETIMEDOUT);
	assert_true(ssi_clock_mono_ms() - began < 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upgrades), cmocka_unit_test(superblocks), cmocka_unit_test(ways), cmocka_unit_test(closing), cmocka_unit_test(jobs),
		cmocka_unit_test(jobs_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
