-- What an Evolution instance speaks to WhatsApp with: it decides which messages the sender can say. Null = baileys.
alter table senders add column channel text check (channel in ('baileys', 'cloud'));
