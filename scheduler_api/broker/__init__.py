"""Publishing to the message broker, inside beat: transports, channels, frames, templates."""
