"""A trained network as a file another runtime takes."""
