/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the agent's conversation with the master: it is told here what becomes of the session, and says so in the log. A reason that
 * repeats itself at every try is said once a minute.
 */
#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "ssi-agent/agent.h"
#include "ssi-agent/carriers.h"
#include "ssi/boot/boot.pb-c.h"

#define SESSION_REPEAT_MS 60000
#define SESSION_GOODBYE_US 1500000

static void session_inventory(struct ssi_inventory *ret, void *userdata)
{
	struct agent *a = userdata;

	machine_inventory(ret);
	a->inventory = *ret;
}

void session_hardware(struct agent *a)
{
	_cleanup_buf_ struct ssi_buf changes = SSI_BUF_INIT;
	struct ssi_inventory is;

	if (!ssi_member_conn(a->member))
		return;                      /* the next JOIN tells what is there then */
	machine_inventory(&is);
	if (ssi_inventory_diff(&a->inventory, &is, &changes) <= 0)
		return;
	log_info("%s", changes.data);
	ssi_member_update(a->member);
}

static size_t session_stages(struct ssi_boot_stage *ret, size_t max, void *userdata)
{
	return config_stages(ret, max);
}

static bool session_vitals(double *ret_load, uint64_t *ret_mem_free, void *userdata)
{
	struct agent *a = userdata;

	machine_vitals(ret_load, ret_mem_free);
	return machine_changed(&a->inventory);
}

/* The last stage of the boot is over: kept with the others, and told. */
static void session_first_join(struct agent *a)
{
	struct ssi_boot_stage s = { .name = "joined", .start_ms = a->started_ms, .end_ms = ssi_clock_boot_ms(), .tries = a->tries };
	Ssi__Boot__Stage m = SSI__BOOT__STAGE__INIT;
	uint8_t buf[128];

	config_set_joined(a);
	config_add_stage(&s);
	m.name = s.name;
	m.start_ms = s.start_ms;
	m.end_ms = s.end_ms;
	m.tries = s.tries;
	ssi_ccm_send(ssi_member_conn(a->member), SSI_MOD_BOOT, SSI_BOOT_STAGE, 0, buf, ssi__boot__stage__pack(&m, buf));
}

static void session_joined(bool again, void *userdata)
{
	struct agent *a = userdata;

	log_info("%s%s as %s, incarnation %llu", again ? "joined again" : "joined", a->bootargs.system[0] ? " the system" : "", a->bootargs.node,
		 (unsigned long long)a->bootargs.incarnation);
	a->complaint[0] = '\0';
	if (!again)
		session_first_join(a);
	a->tries = 1;
	jobs_joined(a);
	sd_notify(false, "READY=1\nSTATUS=joined");
	events_enable(a, true);
	load_enable(a, true);
	procs_joined(a);
}

static void session_lost(const struct ssi_err *why, void *userdata)
{
	struct agent *a = userdata;
	uint64_t now = ssi_clock_mono_ms();

	a->tries++;
	events_enable(a, false);
	load_enable(a, false);
	if (!strcmp(why->text, a->complaint) && now - a->complained_ms < SESSION_REPEAT_MS)
		return;
	log_warning("not joined: %s; trying again", why->text);
	sd_notifyf(false, "STATUS=not joined: %s", why->text);
	snprintf(a->complaint, sizeof(a->complaint), "%s", why->text);
	a->complained_ms = now;
}

static void session_view(const struct ssi_view *v, void *userdata)
{
	view_changed(userdata, v);
}

static void session_order(enum ssi_member_order what, const char *reason, void *userdata)
{
	order_do(userdata, what, reason);
}

static void session_over(const char *why, void *userdata)
{
	order_do(userdata, SSI_MEMBER_REBOOT, why);
}

static const struct ssi_member_ops session_member_ops = {
	.inventory = session_inventory, .stages = session_stages, .vitals = session_vitals, .joined = session_joined, .lost = session_lost,
	.view = session_view, .order = session_order, .over = session_over,
};

static void session_opened(struct ssi_ccm_conn *c, void *userdata)
{
	struct agent *a = userdata;

	ssi_member_opened(a->member, c);
}

static void session_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct agent *a = userdata;

	ssi_rexec_node_closed(a->rexec, c);
	jobs_closed(a);
	ssi_member_closed(a->member, c, why);
	if (a->leaving)
		sd_event_exit(a->event, 0);
}

static void session_drained(struct ssi_ccm_conn *c, void *userdata)
{
	struct agent *a = userdata;

	ssi_rexec_node_drained(a->rexec, c);
	jobs_drained(a);
}

static const struct ssi_ccm_ops session_ccm_ops = { .opened = session_opened, .closed = session_closed, .drained = session_drained };

int session_start(struct agent *a, struct ssi_err *e)
{
	struct ssi_member_config config = { .master = a->bootargs.master, .port = a->bootargs.port, .number = a->bootargs.number,
		.incarnation = a->bootargs.incarnation };
	int r;

	memcpy(config.node, a->bootargs.node, sizeof(config.node));
	memcpy(config.key, a->key, sizeof(config.key));
	a->tries = 1;
	r = ssi_ccm_new(a->event, &session_ccm_ops, a, &a->ccm);
	if (r >= 0)
		r = ssi_rexec_node_new(a->event, a->ccm, &a->rexec);
	if (r >= 0)
		r = ssi_act_node_new(a->ccm, machine_procfs(), &a->act);
	if (r >= 0)
		r = jobs_open(a, e);
	if (r >= 0)
		r = carriers_open(a, e);
	if (r >= 0)
		r = ssi_member_new(a->event, a->ccm, &config, &session_member_ops, a, &a->member);
	if (r >= 0)
		r = ssi_member_start(a->member, config_was_joined(a));
	explicit_bzero(&config, sizeof(config));
	return r < 0 ? ssi_errno(e, r, "session with the master") : 0;
}

static int session_on_goodbye(sd_event_source *s, uint64_t usec, void *userdata)
{
	return sd_event_exit(((struct agent *)userdata)->event, 0);
}

void session_leave(struct agent *a, const char *reason)
{
	a->leaving = true;
	if (ssi_member_leave(a->member, reason) < 0 ||
	    sd_event_add_time_relative(a->event, NULL, CLOCK_MONOTONIC, SESSION_GOODBYE_US, 0, session_on_goodbye, a) < 0)
		sd_event_exit(a->event, 0);
}
