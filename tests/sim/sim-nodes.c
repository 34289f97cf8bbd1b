/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes without machines: asks a master for boot scripts as iPXE would, trades the tokens as ssi-init would, joins and beats as ssi-agent
 * would, N times in one process. For tests and measurements of the daemon (bench/members). It runs no commands and mounts nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "tests/sim/sim.h"

#define SIM_GOODBYE_US 1000000
#define SIM_TOLD 3                   /* nodes of which it is said why they end */
#define SIM_BOOTERS 8                /* nodes that boot at a time */

/* How far it has spread that some nodes are members no more. */
struct watch { const char *what; uint64_t began; uint32_t first, n, informed; uint64_t view; unsigned first_ms; };

struct sim {
	struct in_addr master;
	uint32_t http_port, ccm_port, n, first, seconds, cpus;
	uint64_t memory, started, lost_at;
	bool leave, full;
	const char *for_agent;
	sd_event *event;
	struct sim_node *nodes;
	struct crowd *crowd;
	uint32_t living, joined, rejoined, over;
	struct watch watch;
	pthread_mutex_t lock;            /* of the two below, while nodes boot */
	uint32_t booted;
	struct ssi_err failure;
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
	"  -h, --help         show this and exit\n\n"
	"Commands on standard input, answered by a line on standard output when they are done:\n"
	"  vanish N           the last N fall silent; done when every other node knows that they are gone\n"
	"  leave N            the last N say goodbye; likewise\n"
	"  report             how many are joined, and what it took\n";

/* --- booting --- */

/* What ssi-init leaves for the agent: every word but the token, and the key. */
static int sim_for_agent(struct sim *s, struct ssi_err *e)
{
	struct ssi_bootargs args;
	char words[2048], hex[2 * SSI_CCM_KEY + 1], path[256], mac[SSI_MAC_LEN];
	uint8_t key[SSI_CCM_KEY];
	int r;

	boot_mac(mac, s->first);
	r = boot_node(s->master, (uint16_t)s->http_port, (uint16_t)s->ccm_port, mac, &args, key, e);
	if (r < 0)
		return r;
	args.token[0] = '\0';
	ssi_hash_hex(key, sizeof(key), hex);
	snprintf(path, sizeof(path), "%s/bootargs", s->for_agent);
	r = ssi_bootargs_format(&args, words, sizeof(words));
	if (r >= 0)
		r = ssi_file_write_atomic(path, words, strlen(words), 0644);
	snprintf(path, sizeof(path), "%s/node.key", s->for_agent);
	if (r >= 0)
		r = ssi_file_write_atomic(path, hex, strlen(hex), 0600);
	return r < 0 ? ssi_errno(e, r, "%s", path) : 0;
}

static int sim_boot(struct sim *s, uint32_t i, struct ssi_err *e)
{
	struct sim_node *o = &s->nodes[i];
	struct ssi_bootargs args;
	char mac[SSI_MAC_LEN];
	int r;

	boot_mac(mac, s->first + i);
	r = boot_node(s->master, (uint16_t)s->http_port, (uint16_t)s->ccm_port, mac, &args, o->key, e);
	if (r < 0)
		return r;
	memcpy(o->name, args.node, sizeof(o->name));
	o->number = args.number;
	o->incarnation = args.incarnation;
	if (!i)
		s->ccm_port = args.port;
	return 0;
}

/* One of SIM_BOOTERS: the next node that nobody boots, until there is none or one failed. */
static void *sim_booter(void *userdata)
{
	struct sim *s = userdata;
	struct ssi_err e = { 0 };
	uint32_t i;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		if (e.code)
			s->failure = e;
		i = s->failure.code ? s->n : s->booted++;
		pthread_mutex_unlock(&s->lock);
		if (i >= s->n)
			return NULL;
		if (sim_boot(s, i, &e) >= 0)
			e.code = 0;
	}
}

static int sim_boot_all(struct sim *s, struct ssi_err *e)
{
	pthread_t threads[SIM_BOOTERS];
	int r = sim_boot(s, s->booted++, e), n = 0;

	if (r < 0)
		return r;
	pthread_mutex_init(&s->lock, NULL);
	while (n < SIM_BOOTERS && pthread_create(&threads[n], NULL, sim_booter, s) == 0)
		n++;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&s->lock);
	if (!n)
		return ssi_errf(e, -EAGAIN, "no thread to boot nodes with");
	if (s->failure.code)
		*e = s->failure;
	return s->failure.code;
}

/* --- the end --- */

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
		crowd_leave(s->crowd, &s->nodes[i], "the simulation is over");
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

/* --- what nodes live through --- */

static unsigned sim_since(uint64_t ms)
{
	return (unsigned)(ssi_clock_mono_ms() - ms);
}

static void sim_joined(struct sim_node *o, bool again, void *userdata)
{
	struct sim *s = userdata;
	const struct crowd_counts *c = crowd_counts(s->crowd);

	s->joined += !again;
	s->rejoined += again;
	if (c->joined < s->living)
		return;
	if (s->full && s->lost_at)
		printf("sim-nodes: back %u in %u ms, tries %llu, refused %llu, failed %llu\n", c->joined, sim_since(s->lost_at),
		       (unsigned long long)c->tries, (unsigned long long)c->refused, (unsigned long long)c->failed);
	else if (!s->full)
		printf("sim-nodes: %u joined in %u ms, tries %llu, failed %llu\n", s->joined, sim_since(s->started), (unsigned long long)c->tries,
		       (unsigned long long)c->failed);
	if (!s->full && s->seconds)
		sd_event_add_time_relative(s->event, NULL, CLOCK_MONOTONIC, s->seconds * 1000000ull, 0, sim_on_end, s);
	s->full = true;
	s->lost_at = 0;
}

static void sim_lost(struct sim_node *o, const struct ssi_err *why, void *userdata)
{
	struct sim *s = userdata;

	if (s->lost_at)
		return;
	s->lost_at = ssi_clock_mono_ms();
	if (s->full) {                   /* tries from here on are those of the way back */
		struct crowd_counts *c = crowd_counts(s->crowd);
		c->tries = c->refused = c->failed = 0;
	}
	log_notice("%s: %s", o->name, why->text);
}

static void sim_over(struct sim_node *o, const char *why, void *userdata)
{
	struct sim *s = userdata;

	if (s->over++ < SIM_TOLD)
		log_notice("%s: would reboot: %s", o->name, why);
	s->living--;
}

/* --- how far the word has spread --- */

/* The view without them is one that somebody has now, or is not. */
static void watch_look(struct sim *s, struct watch *w)
{
	const struct knowledge *k = crowd_knowledge(s->crowd);
	uint32_t left = 0;

	for (uint32_t i = 0; i < w->n; i++)
		left += knowledge_has(k, s->nodes[w->first + i].number);
	if (left < w->n && !w->first_ms)
		w->first_ms = sim_since(w->began);
	if (!left)
		w->view = knowledge_view(k)->number;
}

static void sim_learned(struct sim_node *o, uint64_t before, void *userdata)
{
	struct sim *s = userdata;
	struct watch *w = &s->watch;

	if (!w->n)
		return;
	if (!w->view && o->view == knowledge_view(crowd_knowledge(s->crowd))->number)
		watch_look(s, w);
	if (!w->view || before >= w->view || o->view < w->view || ++w->informed < s->living)
		return;
	printf("sim-nodes: %s %u, known first after %u ms, to the last of %u nodes after %u ms\n", w->what, w->n, w->first_ms, w->informed,
	       sim_since(w->began));
	w->n = 0;
}

static const struct crowd_ops crowd_ops = { .joined = sim_joined, .lost = sim_lost, .over = sim_over, .learned = sim_learned };

static void sim_part(struct sim *s, const char *what, uint32_t n)
{
	if (!n || n >= s->living || s->watch.n) {
		printf("sim-nodes: %u cannot %s now\n", n, what);
		return;
	}
	s->watch = (struct watch){ .what = what, .began = ssi_clock_mono_ms(), .first = s->living - n, .n = n };
	s->living -= n;
	for (uint32_t i = s->living; i < s->living + n; i++)
		if (!strcmp(what, "leave"))
			crowd_leave(s->crowd, &s->nodes[i], "told to");
		else
			crowd_silence(s->crowd, &s->nodes[i]);
}

static void sim_command(struct sim *s, const char *line)
{
	const struct crowd_counts *c = crowd_counts(s->crowd);
	unsigned n;

	if (sscanf(line, "vanish %u", &n) == 1)
		sim_part(s, "vanish", n);
	else if (sscanf(line, "leave %u", &n) == 1)
		sim_part(s, "leave", n);
	else
		printf("sim-nodes: joined %u of %u, view %llu of %zu, tries %llu, failed %llu, lost %llu, over %u\n", c->joined, s->living,
		       (unsigned long long)knowledge_view(crowd_knowledge(s->crowd))->number, knowledge_view(crowd_knowledge(s->crowd))->n,
		       (unsigned long long)c->tries, (unsigned long long)c->failed, (unsigned long long)c->lost, s->over);
}

static int sim_on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	char buf[1024], *line = buf, *end;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	buf[n] = '\0';
	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		sim_command(userdata, line);
	}
	return 0;
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

static int sim_join_all(struct sim *s, struct ssi_err *e)
{
	const struct crowd_config c = { .master = s->master, .port = (uint16_t)s->ccm_port, .cpus = s->cpus, .memory = s->memory };
	int r = crowd_new(s->event, &c, &crowd_ops, s, &s->crowd);

	if (r < 0)
		return ssi_errno(e, r, "the crowd");
	s->living = s->n;
	s->started = ssi_clock_mono_ms();
	for (uint32_t i = 0; i < s->n; i++)
		crowd_add(s->crowd, &s->nodes[i]);
	sd_event_add_io(s->event, NULL, STDIN_FILENO, EPOLLIN, sim_on_command, s);   /* not of a file: then nobody commands */
	return 0;
}

static int sim_start(struct sim *s, struct ssi_err *e)
{
	struct rlimit files = { s->n + 256, s->n + 256 };
	sigset_t set;
	int r;

	setrlimit(RLIMIT_NOFILE, &files);
	setvbuf(stdout, NULL, _IOLBF, 0);
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
	r = sim_boot_all(s, e);
	if (r < 0)
		return r;
	printf("sim-nodes: %u have their keys after %u ms\n", s->n, sim_since(s->started));
	return sim_join_all(s, e);
}

static void sim_stop(struct sim *s)
{
	crowd_free(s->crowd);
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
	printf("sim-nodes: joined %u, joined again %u times, lost %llu times, told to reboot %u\n", s.joined, s.rejoined,
	       s.crowd ? (unsigned long long)crowd_counts(s.crowd)->lost : 0, s.over);
	sim_stop(&s);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
