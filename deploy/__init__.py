"""How BitPay Realtime is put on machines; ``local`` puts it on the one in front of you."""
