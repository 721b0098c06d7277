# SPDX-License-Identifier: LGPL-2.1-or-later
# Installing, and the packages. Included by the Makefile; also used by itself by debian/rules and the spec file, which build
# from the archive of `make dist`: it carries the built page, so that they need neither node nor the network.

VERSION := $(shell sed -n 's/^ *"version": "\(.*\)",/\1/p' package.json)
# Where the page and the manual go. The host files have fixed places, since units, hook and page name them.
PREFIX ?= /usr/local
DATA = $(DESTDIR)$(PREFIX)/share
ARCHIVE = output/kvm-tap-$(VERSION).tar.xz
# Two archives of one commit are equal, byte for byte.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

.PHONY: install-host install-page dist deb srpm rpm

# What boots the network.
install-host: pkg/examples/nat.nft
	install -d $(DESTDIR)/usr/lib/kvm-tap/kvm_tap $(DESTDIR)/usr/lib/systemd/system $(DESTDIR)/usr/lib/systemd/system-generators \
		$(DESTDIR)/usr/lib/systemd/network $(DESTDIR)/usr/lib/NetworkManager/conf.d $(DESTDIR)/etc/libvirt/hooks/qemu.d \
		$(DATA)/man/man7 $(DATA)/doc/kvm-tap/examples
	install -d -m 755 $(DESTDIR)/etc/kvm-tap
	install -m 755 pkg/host/kvm-tap-device pkg/host/kvm-tap-nat pkg/host/kvm-tap-nft pkg/host/kvm-tap-trace $(DESTDIR)/usr/lib/kvm-tap/
	install -m 644 pkg/host/kvm_tap/*.py $(DESTDIR)/usr/lib/kvm-tap/kvm_tap/
	install -m 644 pkg/host/*.service $(DESTDIR)/usr/lib/systemd/system/
	install -m 755 pkg/host/kvm-tap-generator $(DESTDIR)/usr/lib/systemd/system-generators/
	install -m 644 pkg/host/*.network $(DESTDIR)/usr/lib/systemd/network/
	install -m 644 pkg/host/*.conf $(DESTDIR)/usr/lib/NetworkManager/conf.d/
	install -m 755 pkg/host/50-kvm-tap $(DESTDIR)/etc/libvirt/hooks/qemu.d/
	install -m 644 pkg/host/kvm-tap.7 $(DATA)/man/man7/
	install -m 644 pkg/examples/* $(DATA)/doc/kvm-tap/examples/

# The page as Cockpit serves it: scripts and styles compressed, which it sends as they are.
install-page: dist/bundled-packages.txt
	rm -rf $(DATA)/cockpit/kvm-tap
	install -d $(DATA)/cockpit $(DATA)/metainfo $(DATA)/doc/cockpit-kvm-tap
	cp -r dist $(DATA)/cockpit/kvm-tap
	mv $(DATA)/cockpit/kvm-tap/*.txt $(DATA)/doc/cockpit-kvm-tap/
	find $(DATA)/cockpit/kvm-tap -type f \( -name '*.js' -o -name '*.css' \) -exec gzip -9nf {} +
	find $(DATA)/cockpit/kvm-tap -type f -name '*.map' -delete
	chmod -R u=rwX,go=rX $(DATA)/cockpit/kvm-tap
	install -m 644 pkg/org.kvm_tap.cockpit_kvm_tap.metainfo.xml $(DATA)/metainfo/

pkg/examples/nat.nft: pkg/nat-example.ts $(wildcard src/model/nat*.ts)
	node test/lab/run.mjs $< > $@.new && mv $@.new $@

# The packages that the page carries, with their licences: it goes with the page.
dist/bundled-packages.txt: dist/manifest.json pkg/bundled-packages.mjs package-lock.json
	node pkg/bundled-packages.mjs > $@.new && mv $@.new $@

# An archive of what git knows, as it is here now, and of the built page.
dist: dist/bundled-packages.txt pkg/examples/nat.nft
	rm -rf output/dist && mkdir -p output/dist
	{ git ls-files | grep -v '^\.'; echo pkg/examples/nat.nft; find dist -type f; } | sort | \
		tar --create --file=output/dist/kvm-tap.tar --verbatim-files-from --files-from=- --format=ustar --mode=u+rw,go+r,go-w \
			--owner=0 --group=0 --numeric-owner --mtime=@$(SOURCE_DATE_EPOCH) --transform='flags=r;s,^,kvm-tap-$(VERSION)/,'
	xz --force --threads=1 output/dist/kvm-tap.tar
	mv output/dist/kvm-tap.tar.xz $(ARCHIVE) && rmdir output/dist
	@echo $(ARCHIVE)

deb: dist
	rm -rf output/deb && mkdir -p output/deb
	cp $(ARCHIVE) output/deb/kvm-tap_$(VERSION).orig.tar.xz
	tar --extract --file=$(ARCHIVE) --directory=output/deb
	cp -r pkg/debian output/deb/kvm-tap-$(VERSION)/debian
	cd output/deb/kvm-tap-$(VERSION) && dpkg-buildpackage --unsigned-source --unsigned-changes >../build.log 2>&1 || { cat ../build.log; exit 1; }
	@ls output/deb/*.deb

RPMBUILD = rpmbuild --nodeps --define '_topdir $(CURDIR)/output/rpm' --define '_sourcedir $(CURDIR)/output' \
	--define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' --define '_buildhost localhost'

# The spec file with what Fedora asks for: a line "Provides: bundled(npm(NAME)) = VERSION" for each npm package in the page.
output/kvm-tap.spec: pkg/kvm-tap.spec dist/bundled-packages.txt
	awk '/^Licence: / { print "Provides:       bundled(npm(" name ")) = " version } { name = $$1; version = $$2 }' \
		dist/bundled-packages.txt > output/provides
	sed -e '/^# bundled npm packages/{' -e 'r output/provides' -e 'd' -e '}' pkg/kvm-tap.spec > $@
	rm output/provides

srpm: dist output/kvm-tap.spec
	rm -rf output/rpm
	$(RPMBUILD) -bs output/kvm-tap.spec
	@ls output/rpm/SRPMS/*.src.rpm

rpm: dist output/kvm-tap.spec
	rm -rf output/rpm && mkdir -p output/rpm
	$(RPMBUILD) -ba output/kvm-tap.spec >output/rpm/build.log 2>&1 || { cat output/rpm/build.log; exit 1; }
	@ls output/rpm/RPMS/noarch/*.rpm
