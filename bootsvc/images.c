/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watching the store by inotify, and finding files in it. Called by http.c, boot.c and exports.c. Trusts names that stand in the
 * registry or that route.c let through; a store on a network file system is not watched (inotify sees nothing there), only looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "bootsvc/events.h"
#include "bootsvc/exports.h"
#include "bootsvc/images.h"
#include "bootsvc/targets.h"
#include "bootsvc/verify.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/path.h"

#define LOOK_DELAY_US (100 * 1000)       /* a publication is several renames; */
#define LOOK_REST 20                     /* and looks take no more than a part in so many of the time, also while thousands join; */
#define LOOK_DELAY_MAX_US (2000 * 1000)  /* but one comes */
#define WATCH_MASK (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_CLOSE_WRITE | IN_ONLYDIR)

/* generation "": the image's current one, which was last when it was looked at. */
struct watched {
	char image[65], generation[IMAGES_GENERATION], last[IMAGES_GENERATION];
	bool seen, missing;
};

struct images {
	struct daemon *daemon;
	struct verify *verify;
	int inotify;
	sd_event_source *io, *timer;
	uint64_t took_us;                    /* the last look */
	struct watched *watched;
	size_t n;
};

int images_open_file(struct images *im, const char *image, const char *generation, const char *file)
{
	_cleanup_free_ char *folder = ssi_path_join3(im->daemon->opt->store, image, generation);
	_cleanup_free_ char *path = folder ? ssi_path_join(folder, file) : NULL;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	if (!path)
		return -ENOMEM;
	return fd < 0 ? -errno : fd;
}

int images_check(struct images *im, const char *image, const char *generation, struct ssi_err *e)
{
	return verify_generation(im->verify, im->daemon->opt->store, image, generation, e);
}

int images_file(struct images *im, const char *image, const char *generation, const char *file, uint64_t *ret_size, char ret_sha256[SSI_HASH_HEX],
		struct ssi_err *e)
{
	return verify_file(im->verify, im->daemon->opt->store, image, generation, file, ret_size, ret_sha256, e);
}

int images_current(struct images *im, const char *image, char ret[IMAGES_GENERATION], struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join3(im->daemon->opt->store, image, "current");
	char to[IMAGES_GENERATION];
	ssize_t n = path ? readlink(path, to, sizeof(to)) : -1;
	int r;

	if (n < 0)
		return ssi_errf(e, -ENOENT, "image %s is not in the store %s (build it with ssi-mkimage)", image, im->daemon->opt->store);
	if ((size_t)n == sizeof(to) || memchr(to, '/', (size_t)n))
		return ssi_errf(e, -ENOENT, "image %s: its link 'current' does not name a generation", image);
	to[n] = '\0';
	r = images_check(im, image, to, e);
	if (r == 0)
		strcpy(ret, to);
	return r;
}

/* What is used. */

struct used_walk { struct images *im; images_used_fn fn; void *userdata; };

static void used_by_boot(const char *node, uint64_t incarnation, const char *image, const char *generation, const char *root, void *userdata)
{
	struct used_walk *w = userdata;
	const struct ssi_node *n = ssi_registry_node(w->im->daemon->registry, node);

	if (n)
		w->fn(image, generation, root, n->system, w->userdata);
}

void images_used(struct images *im, images_used_fn fn, void *userdata)
{
	const struct ssi_registry *reg = im->daemon->registry;
	char generation[IMAGES_GENERATION];

	for (size_t i = 0; i < reg->n_nodes; i++) {
		const struct ssi_node *n = reg->nodes[i], *before = i ? reg->nodes[i - 1] : NULL;

		/* Nodes of a range stand together: one look for all of them. */
		if (before && before->system == n->system && strcmp(before->image, n->image) == 0 && strcmp(before->root, n->root) == 0)
			continue;
		if (n->image[0] && images_current(im, n->image, generation, NULL) == 0)
			fn(n->image, generation, n->root, n->system, userdata);
	}
	images_running(im, fn, userdata);
}

void images_running(struct images *im, images_used_fn fn, void *userdata)
{
	struct used_walk w = { im, fn, userdata };
	struct ssi_err e;

	if (state_generations_used(im->daemon->state, used_by_boot, &w, &e) < 0)
		log_error("which generations are in use: %s", e.text);
}

/* What is watched. */

static void watch(struct images *im, const char *path)
{
	if (im->inotify >= 0 && path && inotify_add_watch(im->inotify, path, WATCH_MASK) < 0 && errno != ENOENT)
		log_warning("%s is not watched: %m", path);
}

static void watched_enter(struct images *im, const char *image, const char *generation)
{
	struct watched *grown;

	for (size_t i = 0; i < im->n; i++)
		if (strcmp(im->watched[i].image, image) == 0 && strcmp(im->watched[i].generation, generation) == 0) {
			im->watched[i].seen = true;
			return;
		}
	grown = reallocarray(im->watched, im->n + 1, sizeof(*grown));
	if (!grown)
		return;
	im->watched = grown;
	grown[im->n] = (struct watched) { .seen = true };
	snprintf(grown[im->n].image, sizeof(grown->image), "%s", image);
	snprintf(grown[im->n++].generation, sizeof(grown->generation), "%s", generation);
}

static void enter_used(const char *image, const char *generation, const char *root, const struct ssi_system *system, void *userdata)
{
	watched_enter(userdata, image, generation);
}

static void watched_list(struct images *im)
{
	const struct ssi_registry *reg = im->daemon->registry;
	size_t kept = 0;

	for (size_t i = 0; i < im->n; i++)
		im->watched[i].seen = false;
	for (size_t i = 0; i < reg->n_nodes; i++)
		if (reg->nodes[i]->image[0] && (i == 0 || strcmp(reg->nodes[i - 1]->image, reg->nodes[i]->image) != 0))
			watched_enter(im, reg->nodes[i]->image, "");
	images_used(im, enter_used, im);
	for (size_t i = 0; i < im->n; i++)
		if (im->watched[i].seen)
			im->watched[kept++] = im->watched[i];
	im->n = kept;
}

/* A generation that nodes run is often the current one as well: one cause, one event. */
static bool told_as_current(const struct images *im, const struct watched *w)
{
	for (size_t i = 0; w->generation[0] && i < im->n; i++)
		if (!im->watched[i].generation[0] && strcmp(im->watched[i].image, w->image) == 0 && strcmp(im->watched[i].last, w->generation) == 0)
			return true;
	return false;
}

static void watched_check(struct images *im, struct watched *w)
{
	_cleanup_free_ char *folder = ssi_path_join(im->daemon->opt->store, w->image), *inner = NULL;
	struct ssi_err e;
	int r;

	watch(im, folder);
	if (w->generation[0]) {
		inner = folder ? ssi_path_join(folder, w->generation) : NULL;
		watch(im, inner);
	}
	r = w->generation[0] ? images_check(im, w->image, w->generation, &e) : images_current(im, w->image, w->last, &e);
	if (r < 0 && !w->missing && !told_as_current(im, w))
		events_add(im->daemon->events, "image-missing", "", "", 0, "%s", e.text);
	else if (r == 0 && w->missing && !told_as_current(im, w))
		events_add(im->daemon->events, "image-back", "", "", 0, "image %s is whole again", w->image);
	w->missing = r < 0;
}

void images_look(struct images *im)
{
	uint64_t began = ssi_clock_mono_ms();

	watch(im, im->daemon->opt->store);
	watched_list(im);
	for (size_t i = 0; i < im->n; i++)
		watched_check(im, &im->watched[i]);
	exports_reconcile(im->daemon->exports);
	targets_reconcile(im->daemon->targets);
	im->took_us = (ssi_clock_mono_ms() - began) * 1000;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	images_look(userdata);
	return 0;
}

void images_look_soon(struct images *im)
{
	uint64_t us = im->took_us * LOOK_REST;

	if (sd_event_source_get_enabled(im->timer, NULL) > 0)
		return;
	us = us < LOOK_DELAY_US ? LOOK_DELAY_US : us < LOOK_DELAY_MAX_US ? us : LOOK_DELAY_MAX_US;
	sd_event_source_set_time_relative(im->timer, us);
	sd_event_source_set_enabled(im->timer, SD_EVENT_ONESHOT);
}

static int on_inotify(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct images *im = userdata;
	char buf[4096];

	/* Which file it was does not matter: everything used is looked at. */
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	images_look_soon(im);
	return 0;
}

static void images_freep(struct images **im)
{
	images_free(*im);
}

int images_new(struct daemon *d, struct images **ret, struct ssi_err *e)
{
	SSI_CLEANUP(images_freep) struct images *im = calloc(1, sizeof(*im));
	int r;

	if (!im)
		return ssi_errno(e, -ENOMEM, "images");
	im->daemon = d;
	im->inotify = -1;
	r = ssi_path_mkdirs(d->opt->store, 0755);        /* so that it can be watched before the first image is built */
	if (r < 0)
		return ssi_errno(e, r, "%s", d->opt->store);
	r = verify_new(&im->verify);
	if (r < 0)
		return ssi_errno(e, r, "images");
	im->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (im->inotify < 0)
		return ssi_errno(e, -errno, "inotify");
	r = sd_event_add_io(d->event, &im->io, im->inotify, EPOLLIN, on_inotify, im);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &im->timer, CLOCK_MONOTONIC, 0, 10000, on_timer, im);
	if (r >= 0)
		r = sd_event_source_set_enabled(im->timer, SD_EVENT_OFF);
	if (r < 0)
		return ssi_errno(e, r, "images");
	*ret = TAKE_PTR(im);
	return 0;
}

void images_free(struct images *im)
{
	if (!im)
		return;
	sd_event_source_disable_unref(im->io);
	sd_event_source_disable_unref(im->timer);
	if (im->inotify >= 0)
		close(im->inotify);
	verify_free(im->verify);
	free(im->watched);
	free(im);
}
