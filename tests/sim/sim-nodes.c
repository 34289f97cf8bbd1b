/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes without machines: asks a master for boot scripts as iPXE would, trades the tokens as ssi-init would, joins and beats as ssi-agent
 * would, N times in one process. For tests and measurements of the daemon. It runs no commands and mounts nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/fd.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "ssi/boot/node.h"
#include "ssi/membership/node.h"

#define SIM_SCRIPT_MAX 16384
#define SIM_TIMEOUT_MS 10000
#define SIM_GOODBYE_US 1000000

struct sim;
struct sim_node {
	struct sim *sim;
	char mac[SSI_MAC_LEN];
	struct ssi_bootargs args;
	uint8_t key[SSI_CCM_KEY];
	struct ssi_ccm *ccm;
	struct ssi_member *member;
};

struct sim {
	struct in_addr master;
	uint32_t http_port, ccm_port, n, first, seconds, cpus;
	uint64_t memory, started;
	bool leave;
	const char *for_agent;
	sd_event *event;
	struct sim_node *nodes;
	unsigned joined, rejoined, lost, over;
};

static const char help[] =
	"Usage: sim-nodes [OPTION]...\n"
	"Boots N nodes without machines from a master, and keeps them joined.\n\n"
	"  -n N               how many (default 1)\n"
	"      --first=N      number of the first MAC, 52:54:01:xx:xx:xx (default 1)\n"
	"      --master=ADDR  the master (default 127.0.0.1)\n"
	"      --http=PORT    its HTTP port (default 7780)\n"
	"      --ccm=PORT     its ccm port (default: as the boot script says)\n"
	"      --seconds=S    end S seconds after the last has joined (default 0: never)\n"
	"      --leave        say goodbye at the end; otherwise they fall silent\n"
	"      --cpus=N       of each (default 2)\n"
	"      --memory=SIZE  of each (default 1G)\n"
	"      --for-agent=DIR  boot one node, leave bootargs and node.key in DIR for an ssi-agent, and exit\n"
	"  -h, --help         show this and exit\n";

/* --- as iPXE and ssi-init would --- */

static int sim_get(const struct sim *s, const char *mac, char *buf, size_t n, struct ssi_err *e)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = s->master, .sin_port = htons((uint16_t)s->http_port) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[128];
	int len = snprintf(request, sizeof(request), "GET /boot/%s HTTP/1.0\r\n\r\n", mac);
	ssize_t r;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return ssi_errno(e, -errno, "connect to the HTTP port %u", s->http_port);
	r = ssi_fd_write_all(fd, request, (size_t)len);
	if (r >= 0)
		r = ssi_fd_read_full(fd, buf, n - 1);
	if (r < 0)
		return ssi_errno(e, (int)r, "GET /boot/%s", mac);
	buf[r] = '\0';
	return strstr(buf, " 200 ") ? 0 : ssi_errf(e, -EPROTO, "GET /boot/%s: %.*s", mac, (int)strcspn(buf, "\r\n"), buf);
}

/* The kernel's arguments in a boot script. */
static int sim_script(struct sim_node *o, char *script, struct ssi_err *e)
{
	char *line = strstr(script, "\nkernel "), *echo = strstr(script, "\necho ");

	if (!line)
		return ssi_errf(e, -ENODATA, "%s is given no kernel: %.*s", o->mac, echo ? (int)strcspn(echo + 1, "\n") : 0, echo ? echo + 1 : "");
	line++;
	line[strcspn(line, "|\n")] = '\0';
	return ssi_bootargs_parse(line, &o->args, e);
}

static void sim_mac(struct sim_node *o, uint32_t i)
{
	uint32_t k = o->sim->first + i;

	snprintf(o->mac, sizeof(o->mac), "52:54:01:%02x:%02x:%02x", k >> 16 & 0xff, k >> 8 & 0xff, k & 0xff);
}

static int sim_boot(struct sim_node *o, struct ssi_err *e)
{
	char script[SIM_SCRIPT_MAX];
	int r;

	r = sim_get(o->sim, o->mac, script, sizeof(script), e);
	if (r >= 0)
		r = sim_script(o, script, e);
	if (r < 0)
		return r;
	o->args.master = o->sim->master;
	if (o->sim->ccm_port)
		o->args.port = (uint16_t)o->sim->ccm_port;
	return ssi_boot_exchange_token(&o->args, SIM_TIMEOUT_MS, o->key, e);
}

/* What ssi-init leaves for the agent: every word but the token, and the key. */
static int sim_for_agent(struct sim *s, struct ssi_err *e)
{
	struct sim_node o = { .sim = s };
	char words[2048], hex[2 * SSI_CCM_KEY + 1], path[256];
	int r;

	sim_mac(&o, 0);
	r = sim_boot(&o, e);
	if (r < 0)
		return r;
	o.args.token[0] = '\0';
	ssi_hash_hex(o.key, sizeof(o.key), hex);
	snprintf(path, sizeof(path), "%s/bootargs", s->for_agent);
	r = ssi_bootargs_format(&o.args, words, sizeof(words));
	if (r >= 0)
		r = ssi_file_write_atomic(path, words, strlen(words), 0644);
	snprintf(path, sizeof(path), "%s/node.key", s->for_agent);
	if (r >= 0)
		r = ssi_file_write_atomic(path, hex, strlen(hex), 0600);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

/* --- as ssi-agent would --- */

static void node_inventory(struct ssi_inventory *ret, void *userdata)
{
	struct sim_node *o = userdata;

	ret->cpus = o->sim->cpus;
	ret->memory = o->sim->memory;
	ret->n_nics = 1;
	snprintf(ret->cpu_model, sizeof(ret->cpu_model), "none");
	snprintf(ret->nics[0].name, sizeof(ret->nics[0].name), "sim0");
	snprintf(ret->nics[0].mac, sizeof(ret->nics[0].mac), "%s", o->mac);
}

static size_t node_stages(struct ssi_boot_stage *ret, size_t max, void *userdata)
{
	return 0;
}

static bool node_vitals(double *ret_load, uint64_t *ret_mem_free, void *userdata)
{
	*ret_load = 0;
	*ret_mem_free = ((struct sim_node *)userdata)->sim->memory / 2;
	return false;
}

static int sim_on_goodbye(sd_event_source *source, uint64_t usec, void *userdata)
{
	return sd_event_exit(((struct sim *)userdata)->event, 0);
}

/* The end: at once, or after everyone has said goodbye. */
static int sim_finish(struct sim *s)
{
	if (!s->leave)
		return sd_event_exit(s->event, 0);
	for (uint32_t i = 0; i < s->n; i++)
		ssi_member_leave(s->nodes[i].member, "the simulation is over");
	return sd_event_add_time_relative(s->event, NULL, CLOCK_MONOTONIC, SIM_GOODBYE_US, 0, sim_on_goodbye, s);
}

static int sim_on_end(sd_event_source *source, uint64_t usec, void *userdata)
{
	return sim_finish(userdata);
}

static int sim_on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	return sim_finish(userdata);
}

static void node_joined(bool again, void *userdata)
{
	struct sim *s = ((struct sim_node *)userdata)->sim;

	if (again) {
		s->rejoined++;
		return;
	}
	if (++s->joined < s->n)
		return;
	printf("sim-nodes: %u joined in %llu ms\n", s->n, (unsigned long long)(ssi_clock_mono_ms() - s->started));
	fflush(stdout);
	if (s->seconds)
		sd_event_add_time_relative(s->event, NULL, CLOCK_MONOTONIC, s->seconds * 1000000ull, 0, sim_on_end, s);
}

static void node_lost(const struct ssi_err *why, void *userdata)
{
	struct sim_node *o = userdata;

	if (!o->sim->lost++)
		log_warning("%s: %s", o->args.node, why->text);
}

static void node_view(const struct ssi_view *v, void *userdata)
{
}

static void node_end(struct sim_node *o, const char *why)
{
	log_notice("%s: would reboot: %s", o->args.node, why);
	o->sim->over++;
}

static void node_order(enum ssi_member_order what, const char *reason, void *userdata)
{
	node_end(userdata, reason);
}

static void node_over(const char *why, void *userdata)
{
	node_end(userdata, why);
}

static const struct ssi_member_ops member_ops = { .inventory = node_inventory, .stages = node_stages, .vitals = node_vitals, .joined = node_joined,
	.lost = node_lost, .view = node_view, .order = node_order, .over = node_over };

static void node_opened(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_member_opened(((struct sim_node *)userdata)->member, c);
}

static void node_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	ssi_member_closed(((struct sim_node *)userdata)->member, c, why);
}

static const struct ssi_ccm_ops ccm_ops = { .opened = node_opened, .closed = node_closed };

static int sim_join(struct sim_node *o, struct ssi_err *e)
{
	struct ssi_member_config c = { .master = o->args.master, .port = o->args.port, .incarnation = o->args.incarnation };
	int r;

	memcpy(c.node, o->args.node, sizeof(c.node));
	memcpy(c.key, o->key, sizeof(c.key));
	r = ssi_ccm_new(o->sim->event, &ccm_ops, o, &o->ccm);
	if (r >= 0)
		r = ssi_member_new(o->sim->event, o->ccm, &c, &member_ops, o, &o->member);
	if (r >= 0)
		r = ssi_member_start(o->member, false);
	return r < 0 ? ssi_errno(e, r, "%s", o->args.node) : 0;
}

/* --- the whole --- */

enum { OPT_FIRST = 256, OPT_MASTER, OPT_HTTP, OPT_CCM, OPT_SECONDS, OPT_LEAVE, OPT_CPUS, OPT_MEMORY, OPT_FOR_AGENT };

static int sim_option(struct sim *s, int o)
{
	switch (o) {
	case 'n': return ssi_num_u32(optarg, 1, 65536, &s->n);
	case OPT_FIRST: return ssi_num_u32(optarg, 0, 0xffffff, &s->first);
	case OPT_MASTER: return inet_pton(AF_INET, optarg, &s->master) == 1 ? 0 : -EINVAL;
	case OPT_HTTP: return ssi_num_u32(optarg, 1, 65535, &s->http_port);
	case OPT_CCM: return ssi_num_u32(optarg, 1, 65535, &s->ccm_port);
	case OPT_SECONDS: return ssi_num_u32(optarg, 0, 86400, &s->seconds);
	case OPT_LEAVE: s->leave = true; return 0;
	case OPT_CPUS: return ssi_num_u32(optarg, 1, 65536, &s->cpus);
	case OPT_MEMORY: return ssi_num_size(optarg, &s->memory);
	case OPT_FOR_AGENT: s->for_agent = optarg; return 0;
	case 'h': fputs(help, stdout); exit(0);
	default: return -EINVAL;
	}
}

static int sim_options(struct sim *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "first", required_argument, NULL, OPT_FIRST }, { "master", required_argument, NULL, OPT_MASTER }, { "http", required_argument, NULL, OPT_HTTP },
		{ "ccm", required_argument, NULL, OPT_CCM }, { "seconds", required_argument, NULL, OPT_SECONDS }, { "leave", no_argument, NULL, OPT_LEAVE },
		{ "cpus", required_argument, NULL, OPT_CPUS }, { "memory", required_argument, NULL, OPT_MEMORY }, { "for-agent", required_argument, NULL, OPT_FOR_AGENT },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "n:h", options, NULL)) >= 0)
		if (sim_option(s, o) < 0)
			return -EINVAL;
	return optind < argc ? -EINVAL : 0;
}

static int sim_start(struct sim *s, struct ssi_err *e)
{
	struct rlimit files = { s->n + 64, s->n + 64 };
	sigset_t set;
	int r = 0;

	setrlimit(RLIMIT_NOFILE, &files);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->nodes = calloc(s->n, sizeof(*s->nodes));
	if (!s->nodes || sd_event_new(&s->event) < 0)
		return ssi_errf(e, -ENOMEM, "no memory for %u nodes", s->n);
	sd_event_add_signal(s->event, NULL, SIGTERM, sim_on_signal, s);
	sd_event_add_signal(s->event, NULL, SIGINT, sim_on_signal, s);
	s->started = ssi_clock_mono_ms();
	for (uint32_t i = 0; i < s->n && r >= 0; i++) {
		s->nodes[i].sim = s;
		sim_mac(&s->nodes[i], i);
		r = sim_boot(&s->nodes[i], e);
	}
	if (r >= 0)
		printf("sim-nodes: %u have their keys after %llu ms\n", s->n, (unsigned long long)(ssi_clock_mono_ms() - s->started));
	s->started = ssi_clock_mono_ms();
	for (uint32_t i = 0; i < s->n && r >= 0; i++)
		r = sim_join(&s->nodes[i], e);
	return r;
}

static void sim_stop(struct sim *s)
{
	for (uint32_t i = 0; s->nodes && i < s->n; i++) {
		ssi_member_free(s->nodes[i].member);
		ssi_ccm_free(s->nodes[i].ccm);
	}
	free(s->nodes);
	sd_event_unref(s->event);
}

int main(int argc, char **argv)
{
	struct sim s = { .master.s_addr = htonl(INADDR_LOOPBACK), .http_port = 7780, .n = 1, .first = 1, .cpus = 2, .memory = 1ull << 30 };
	struct ssi_err e;
	int r;

	ssi_log_open("sim-nodes", LOG_INFO);
	if (sim_options(&s, argc, argv) < 0) {
		fputs("Try 'sim-nodes --help'.\n", stderr);
		return 2;
	}
	r = s.for_agent ? sim_for_agent(&s, &e) : sim_start(&s, &e);
	if (r < 0)
		log_error("%s", e.text);
	if (s.for_agent)
		return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (r >= 0)
		r = sd_event_loop(s.event);
	printf("sim-nodes: joined %u, joined again %u times, lost %u times, told to reboot %u\n", s.joined, s.rejoined, s.lost, s.over);
	sim_stop(&s);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
