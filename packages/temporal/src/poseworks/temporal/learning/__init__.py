"""How weights come about and are judged: data, noise, losses, recipes, training, evaluation."""
