/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expiring clients one after the other, by a child each: the write waits until the server has done what the client had asked for before. Called by fence-steps.c, and by exports.c
 * at the daemon's end.
 */
#include "bootsvc/nfs-clients.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bootsvc/child.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/base/file.h"
#include "libssi/base/num.h"
#include "libssi/base/path.h"

#define EXPIRE_MS 20000
#define INFO_MAX 8192
#define CLIENTS_MAX 64               /* of one address; more is not one machine */

struct nfs_clients {
	sd_event *event;
	char *folder;
	struct in_addr address;
	char name[32];                   /* that is being expired */
	unsigned n;
	struct child *child;
	sd_event_source *soon;
	nfs_clients_done done;
	void *userdata;
};

/* address: "10.77.0.12:812" */
static bool address_of(const char *info, struct in_addr *ret)
{
	static const char key[] = "address: \"";
	const char *line = strncmp(info, key, strlen(key)) == 0 ? info : strstr(info, "\naddress: \"");
	char text[INET_ADDRSTRLEN];
	size_t n;

	if (!line)
		return false;
	line = strchr(line, '"') + 1;
	n = strcspn(line, ":\"\n");
	if (n >= sizeof(text))
		return false;
	memcpy(text, line, n);
	text[n] = '\0';
	return inet_pton(AF_INET, text, ret) == 1;
}

static bool is_from(const char *info, struct in_addr address)
{
	struct in_addr from;

	return address_of(info, &from) && from.s_addr == address.s_addr;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

int nfs_clients_next(const char *folder, struct in_addr address, char name[32], struct ssi_err *e)
{
	SSI_CLEANUP(closedirp) DIR *dir = opendir(folder);
	uint64_t after = 0, best = UINT64_MAX, id;
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : ssi_errno(e, -errno, "%s", folder);
	if (name[0] && ssi_num_u64(name, 0, UINT64_MAX, &after) < 0)
		return ssi_errf(e, -EINVAL, "%s: no client", name);
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *path = ssi_path_join3(folder, entry->d_name, "info"), *info = NULL;

		if (ssi_num_u64(entry->d_name, 0, UINT64_MAX - 1, &id) < 0 || (name[0] && id <= after) || id >= best)
			continue;
		if (path && ssi_file_read(path, INFO_MAX, &info, NULL) == 0 && is_from(info, address))
			best = id;
	}
	if (best == UINT64_MAX)
		return 0;
	snprintf(name, 32, "%llu", (unsigned long long)best);
	return 1;
}

void nfs_clients_free(struct nfs_clients *c)
{
	if (!c)
		return;
	child_free(c->child);
	sd_event_source_disable_unref(c->soon);
	free(c->folder);
	free(c);
}

static void end(struct nfs_clients *c, int err, const struct ssi_err *why)
{
	nfs_clients_done done = c->done;
	void *userdata = c->userdata;
	unsigned n = c->n;

	nfs_clients_free(c);
	done(err, n, why, userdata);
}

static void next(struct nfs_clients *c);

static void on_expired(int err, const struct ssi_err *why, const char *out, void *userdata)
{
	struct nfs_clients *c = userdata;
	_cleanup_free_ char *path = ssi_path_join(c->folder, c->name);
	struct ssi_err e;

	c->child = NULL;
	if (path && access(path, F_OK) == 0) {       /* what counts is that it is gone; it may have gone by itself while we wrote */
		int r = ssi_errf(&e, -EIO, "NFS client %s of the machine was not expired: %s", c->name, why ? why->text : "it is still there");

		end(c, r, &e);
		return;
	}
	c->n++;
	next(c);
}

/* The command's standard output is the client's ctl: one write of one word. 1 = begun, 0 = the client has gone by itself. */
static int expire(struct nfs_clients *c, struct ssi_err *e)
{
	char *argv[] = { "cat", NULL };
	_cleanup_free_ char *ctl = ssi_path_join3(c->folder, c->name, "ctl");
	_cleanup_close_ int fd = ctl ? open(ctl, O_WRONLY | O_CLOEXEC) : -1;
	int r;

	if (!ctl)
		return ssi_errno(e, -ENOMEM, "NFS clients");
	if (fd < 0)
		return errno == ENOENT ? 0 : ssi_errno(e, -errno, "%s", ctl);
	r = child_start(c->event, &(struct child_command){ argv, "expire\n", fd, EXPIRE_MS }, on_expired, c, &c->child, e);
	return r < 0 ? r : 1;
}

static void next(struct nfs_clients *c)
{
	struct ssi_err e;
	int r, begun = 0;

	do {
		c->name[0] = '\0';
		r = nfs_clients_next(c->folder, c->address, c->name, &e);
		if (r > 0 && c->n >= CLIENTS_MAX)
			r = ssi_errf(&e, -EBUSY, "the machine's NFS clients do not end: it comes back as fast as it is expired");
		if (r > 0)
			begun = expire(c, &e);
	} while (r > 0 && begun == 0);
	if (r > 0 && begun > 0)
		return;
	r = r > 0 ? begun : r;
	end(c, r, r < 0 ? &e : NULL);
}

static int on_soon(sd_event_source *s, void *userdata)
{
	next(userdata);
	return 0;
}

int nfs_clients_expire(sd_event *event, const char *folder, struct in_addr address, nfs_clients_done done, void *userdata, struct nfs_clients **ret,
		       struct ssi_err *e)
{
	struct nfs_clients *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (c) {
		*c = (struct nfs_clients) { .event = event, .folder = strdup(folder), .address = address, .done = done, .userdata = userdata };
		r = c->folder ? sd_event_add_defer(event, &c->soon, on_soon, c) : -ENOMEM;
	}
	if (r < 0) {
		nfs_clients_free(c);
		return ssi_errno(e, r, "NFS clients");
	}
	*ret = c;
	return 0;
}

/* In a child: the kernel may take its time. */
static bool expire_waiting(const char *folder, const char *name)
{
	_cleanup_free_ char *ctl = ssi_path_join3(folder, name, "ctl");
	uint64_t end = ssi_clock_mono_ms() + NFS_CLIENTS_WAIT_MS;
	pid_t pid = ctl ? fork() : -1;

	if (pid == 0)
		_exit(ssi_file_poke(ctl, "expire\n") < 0);
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
		if (ssi_clock_mono_ms() >= end) {
			kill(pid, SIGKILL);
			return false;
		}
		usleep(10000);
	}
	return pid > 0;
}

int nfs_clients_expire_gone(const char *folder, bool (*gone)(struct in_addr address, void *userdata), void *userdata)
{
	SSI_CLEANUP(closedirp) DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *path = ssi_path_join3(folder, entry->d_name, "info"), *info = NULL;
		struct in_addr from;

		if (entry->d_name[0] != '.' && path && ssi_file_read(path, INFO_MAX, &info, NULL) == 0 && address_of(info, &from) && gone(from, userdata))
			n += expire_waiting(folder, entry->d_name);
	}
	return n;
}
